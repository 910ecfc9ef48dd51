package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;

/** All is done; the sender closes the connection. */
public record Goodbye() implements Message {
  @Override
  public FrameType type() {
    return FrameType.GOODBYE;
  }
}
