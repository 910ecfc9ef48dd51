package io.pageferry.protocol.page;

import org.jspecify.annotations.Nullable;

/**
 * Which encodings besides raw may be used; the peer must have the capability of each.
 *
 * @param zeroRuns pages of zeros by name only
 * @param lz4 blocks of LZ4, also of differences
 * @param bases what the target has, the same for all channels of a migration; null if no
 *     differences may be sent. Whoever uses it does not close it
 */
public record PageEncodings(boolean zeroRuns, boolean lz4, @Nullable BaseCache bases) {}
