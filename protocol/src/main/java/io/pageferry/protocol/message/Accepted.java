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
 */
@SuppressWarnings("ArrayRecordComponent") // equals, hashCode and toString are written out below
public record Accepted(List<byte[]> joinTokens, long startCostMicros, byte @Nullable [] faultToken)
    implements Message {
  public Accepted {
    joinTokens = List.copyOf(joinTokens);
    Bounds.check("number of join tokens", joinTokens.size(), 1, Limits.MAX_DATA_CHANNELS);
    joinTokens.forEach(Bounds::checkToken);
    Bounds.checkCount("start cost", startCostMicros);
    if (faultToken != null) {
      Bounds.checkToken(faultToken);
    }
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
        && Arrays.deepEquals(joinTokens.toArray(), that.joinTokens.toArray())
        && Arrays.equals(faultToken, that.faultToken);
  }

  @Override
  public int hashCode() {
    return Objects.hash(
        startCostMicros, Arrays.deepHashCode(joinTokens.toArray()), Arrays.hashCode(faultToken));
  }

  /** Leaves the tokens out: they must not get into a log. */
  @Override
  public String toString() {
    return "Accepted[channels=%d, startCostMicros=%d, postcopy=%b]"
        .formatted(joinTokens.size(), startCostMicros, faultToken != null);
  }
}
