package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;

/**
 * Post-copy begins: the guest is paused, its device state has been sent completely, and what the
 * target does not have was named by {@link Missing}. From here on the target loads the device state
 * and asks for pages on the fault channel.
 *
 * @param round the post-copy round, one more than the round before
 * @param missingPages how many pages the {@link Missing} messages named
 */
public record Switch(int round, long missingPages) implements Message {
  public Switch {
    Bounds.check("round", round, 1, Integer.MAX_VALUE);
    Bounds.checkCount("missing pages", missingPages);
  }

  @Override
  public FrameType type() {
    return FrameType.SWITCH;
  }
}
