package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;

/**
 * The guest is the target's. The source sends it only after "handed over" is on its own disk, and
 * never runs the guest again unless the target's ledger says that it was abandoned there.
 */
public record Commit() implements Message {
  @Override
  public FrameType type() {
    return FrameType.COMMIT;
  }
}
