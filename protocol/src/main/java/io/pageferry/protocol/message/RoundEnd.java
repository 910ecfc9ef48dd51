package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;

/**
 * The source has sent all of the round's pages on this data channel. One on each data channel, also
 * on one that carried none.
 *
 * @param round the round that ends
 * @param pages sent on this channel in this round, zero pages included
 */
public record RoundEnd(int round, long pages) implements Message {
  public RoundEnd {
    Bounds.check("round", round, 1, Integer.MAX_VALUE);
    Bounds.checkCount("pages", pages);
  }

  @Override
  public FrameType type() {
    return FrameType.ROUND_END;
  }
}
