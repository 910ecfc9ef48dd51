package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;

/**
 * Every data channel has delivered its {@link RoundEnd} and everything is in the image; the target
 * sends it on the control channel.
 *
 * @param round the round that ends
 * @param pages landed in this round, on all channels, zero pages included
 */
public record RoundLanded(int round, long pages) implements Message {
  public RoundLanded {
    Bounds.check("round", round, 1, Integer.MAX_VALUE);
    Bounds.checkCount("pages", pages);
  }

  @Override
  public FrameType type() {
    return FrameType.ROUND_LANDED;
  }
}
