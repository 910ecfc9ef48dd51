/**
 * Sizes, rates and durations as people write them.
 *
 * <p>One rule for all of them: a letter alone and a letter with {@code i} are binary ({@code 512M}
 * = {@code 512MiB} = 512 × 1024², as QEMU reads them), a letter with {@code B} or {@code bit} is
 * decimal ({@code 20MB/s} = 20,000,000 bytes a second, {@code 1Gbit} = 125,000,000 bytes a second,
 * as networks are sold).
 */
@NullMarked
package io.pageferry.guest.units;

import org.jspecify.annotations.NullMarked;
