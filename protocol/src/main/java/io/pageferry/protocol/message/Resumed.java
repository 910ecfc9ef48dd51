package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.UUID;

/**
 * The target takes up an interrupted post-copy again; {@link Missing} follows and names what it
 * still waits for. All former connections and tokens of the migration are void.
 *
 * @param migration the one asked for
 * @param round the post-copy round that begins with this, higher than any before
 * @param joinTokens one a data channel that is granted, 1 to 16, each 32 random bytes and good for
 *     one connection. Not copied: nobody may change them
 * @param faultToken the fault channel's. Not copied: nobody may change it
 */
@SuppressWarnings("ArrayRecordComponent") // equals, hashCode and toString are written out below
public record Resumed(UUID migration, int round, List<byte[]> joinTokens, byte[] faultToken)
    implements Message {
  public Resumed {
    Bounds.check("round", round, 1, Integer.MAX_VALUE);
    joinTokens = List.copyOf(joinTokens);
    Bounds.check("number of join tokens", joinTokens.size(), 1, Limits.MAX_DATA_CHANNELS);
    joinTokens.forEach(Bounds::checkToken);
    Bounds.checkToken(faultToken);
  }

  @Override
  public FrameType type() {
    return FrameType.RESUMED;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Resumed that
        && migration.equals(that.migration)
        && round == that.round
        && Arrays.deepEquals(joinTokens.toArray(), that.joinTokens.toArray())
        && Arrays.equals(faultToken, that.faultToken);
  }

  @Override
  public int hashCode() {
    return Objects.hash(
        migration, round, Arrays.deepHashCode(joinTokens.toArray()), Arrays.hashCode(faultToken));
  }

  /** Leaves the tokens out: they must not get into a log. */
  @Override
  public String toString() {
    return "Resumed[migration=%s, round=%d, channels=%d]"
        .formatted(migration, round, joinTokens.size());
  }
}
