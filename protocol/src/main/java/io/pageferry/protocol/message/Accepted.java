package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The target has reserved everything and is ready.
 *
 * @param joinTokens one a data channel that is granted, 1 to 16, each 32 random bytes and good for
 *     one connection. Not copied: nobody may change them
 * @param startCostMicros what loading device state and starting this guest costs the target by its
 *     own estimate, 0 for unknown
 * @param faultToken the fault channel's, if the target can do post-copy with this guest; else null,
 *     and the migration may not switch to it. Not copied: nobody may change it
 * @param granulePages how many pages, from a multiple of it on, can be missing at the target only
 *     all together, because its guest has them as one huge page; a power of two
 */
@SuppressWarnings("ArrayRecordComponent") // equals, hashCode and toString are written out below
public record Accepted(
    List<byte[]> joinTokens, long startCostMicros, byte @Nullable [] faultToken, int granulePages)
    implements Message {
  /** Huge pages of 1 GiB. */
  public static final int MAX_GRANULE_PAGES = 1 << 18;

  public Accepted {
    joinTokens = List.copyOf(joinTokens);
    Bounds.check("number of join tokens", joinTokens.size(), 1, Limits.MAX_DATA_CHANNELS);
    joinTokens.forEach(Bounds::checkToken);
    Bounds.checkCount("start cost", startCostMicros);
    if (faultToken != null) {
      Bounds.checkToken(faultToken);
    }
    Bounds.check("pages of a granule", granulePages, 1, MAX_GRANULE_PAGES);
    if (Integer.bitCount(granulePages) != 1) {
      throw new IllegalArgumentException(granulePages + " pages of a granule are no power of two");
    }
  }

  /** With a guest whose pages can be missing one by one. */
  public Accepted(List<byte[]> joinTokens, long startCostMicros, byte @Nullable [] faultToken) {
    this(joinTokens, startCostMicros, faultToken, 1);
  }

  /** Without post-copy. */
  public Accepted(List<byte[]> joinTokens, long startCostMicros) {
    this(joinTokens, startCostMicros, null);
  }

  @Override
  public FrameType type() {
    return FrameType.ACCEPTED;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Accepted that
        && startCostMicros == that.startCostMicros
        && granulePages == that.granulePages
        && Arrays.deepEquals(joinTokens.toArray(), that.joinTokens.toArray())
        && Arrays.equals(faultToken, that.faultToken);
  }

  @Override
  public int hashCode() {
    return Objects.hash(
        startCostMicros,
        granulePages,
        Arrays.deepHashCode(joinTokens.toArray()),
        Arrays.hashCode(faultToken));
  }

  /** Leaves the tokens out: they must not get into a log. */
  @Override
  public String toString() {
    return "Accepted[channels=%d, startCostMicros=%d, postcopy=%b, granulePages=%d]"
        .formatted(joinTokens.size(), startCostMicros, faultToken != null, granulePages);
  }
}
