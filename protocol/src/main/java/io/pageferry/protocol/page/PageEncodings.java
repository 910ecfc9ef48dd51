package io.pageferry.protocol.page;

import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Which encodings besides raw may be used; the peer must have the capability of each.
 *
 * @param zeroRuns pages of zeros by name only
 * @param codecs how pages with content may be packed, by {@link CodecChoice}; with LZ4 among them
 *     also their differences
 * @param bases what the target has, the same for all channels of a migration; null if no
 *     differences may be sent. Whoever uses it does not close it
 * @param known what the target still has from an earlier time, the same for all channels; null if
 *     it was not asked. Whoever uses it does not close it
 * @param slowLink whether the link is known to carry less than any codec packs: then the tightest
 *     is begun with, and takes its time
 */
public record PageEncodings(
    boolean zeroRuns,
    Set<PageCodec> codecs,
    @Nullable BaseCache bases,
    @Nullable KnownPages known,
    boolean slowLink) {
  public PageEncodings {
    codecs = Set.copyOf(codecs);
    if (codecs.isEmpty()) {
      throw new IllegalArgumentException("no codec, not even raw");
    }
  }

  /** For a link of which nothing is known. */
  public PageEncodings(
      boolean zeroRuns,
      Set<PageCodec> codecs,
      @Nullable BaseCache bases,
      @Nullable KnownPages known) {
    this(zeroRuns, codecs, bases, known, false);
  }

  /** The same for a target that was not asked what it has. */
  public PageEncodings(boolean zeroRuns, Set<PageCodec> codecs, @Nullable BaseCache bases) {
    this(zeroRuns, codecs, bases, null);
  }
}
