package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;

/**
 * The target has landed everything, compared the digest, loaded the device state; its guest is
 * ready but does not run. From here on the target waits for {@link Commit}.
 *
 * @param digestMatches false ends the migration: the source does not commit
 * @param high upper 64 bits of the target's own digest, taken before device state was loaded
 * @param low lower 64 bits
 */
public record Prepared(boolean digestMatches, long high, long low) implements Message {
  @Override
  public FrameType type() {
    return FrameType.PREPARED;
  }
}
