package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.Arrays;
import java.util.List;

/**
 * The target has reserved everything and is ready.
 *
 * @param joinTokens one a data channel that is granted, 1 to 16, each 32 random bytes and good for
 *     one connection. Not copied: nobody may change them
 * @param startCostMicros what loading device state and starting this guest costs the target by its
 *     own estimate, 0 for unknown
 */
public record Accepted(List<byte[]> joinTokens, long startCostMicros) implements Message {
  public Accepted {
    joinTokens = List.copyOf(joinTokens);
    Bounds.check("number of join tokens", joinTokens.size(), 1, Limits.MAX_DATA_CHANNELS);
    for (byte[] token : joinTokens) {
      Bounds.check("length of a join token", token.length, Hello.TOKEN_BYTES, Hello.TOKEN_BYTES);
    }
    Bounds.checkCount("start cost", startCostMicros);
  }

  @Override
  public FrameType type() {
    return FrameType.ACCEPTED;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Accepted that
        && startCostMicros == that.startCostMicros
        && Arrays.deepEquals(joinTokens.toArray(), that.joinTokens.toArray());
  }

  @Override
  public int hashCode() {
    return 31 * Long.hashCode(startCostMicros) + Arrays.deepHashCode(joinTokens.toArray());
  }

  /** Leaves the tokens out: they must not get into a log. */
  @Override
  public String toString() {
    return "Accepted[channels=" + joinTokens.size() + ", startCostMicros=" + startCostMicros + "]";
  }
}
