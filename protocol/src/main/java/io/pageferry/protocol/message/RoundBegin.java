package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;

/**
 * A round begins; the source sends it on the control channel before the round's first page.
 *
 * @param round from 1, one more than the round before
 * @param last whether the guest is paused and this round is the rest
 * @param dirtyPages what the round is expected to bring
 */
public record RoundBegin(int round, boolean last, long dirtyPages) implements Message {
  public RoundBegin {
    Bounds.check("round", round, 1, Integer.MAX_VALUE);
    Bounds.checkCount("dirty pages", dirtyPages);
  }

  @Override
  public FrameType type() {
    return FrameType.ROUND_BEGIN;
  }
}
