package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;

/**
 * Says that the sender is alive; nobody answers it.
 *
 * @param sequence counts up from 0; for whoever reads a trace
 */
public record KeepAlive(long sequence) implements Message {
  @Override
  public FrameType type() {
    return FrameType.KEEP_ALIVE;
  }
}
