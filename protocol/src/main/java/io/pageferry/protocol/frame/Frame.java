package io.pageferry.protocol.frame;

import io.netty.buffer.ByteBuf;
import io.netty.util.ReferenceCounted;

/**
 * One frame as it came in: header checked, payload checksum right, payload not yet interpreted.
 *
 * <p>Whoever receives the frame owns it and releases it once. The payload may be a slice of a
 * larger read, so a frame that is kept for long keeps that read's memory too.
 *
 * @param type what the payload is
 * @param payload from reader index to writer index
 */
public record Frame(FrameType type, ByteBuf payload) implements ReferenceCounted {

  @Override
  public int refCnt() {
    return payload.refCnt();
  }

  @Override
  public Frame retain() {
    payload.retain();
    return this;
  }

  @Override
  public Frame retain(int increment) {
    payload.retain(increment);
    return this;
  }

  @Override
  public Frame touch() {
    payload.touch();
    return this;
  }

  @Override
  public Frame touch(Object hint) {
    payload.touch(hint);
    return this;
  }

  @Override
  public boolean release() {
    return payload.release();
  }

  @Override
  public boolean release(int decrement) {
    return payload.release(decrement);
  }
}
