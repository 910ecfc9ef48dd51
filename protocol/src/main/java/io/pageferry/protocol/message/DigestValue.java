package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;

/**
 * The source's digest of the whole image, sent when the guest is paused and all has been sent.
 *
 * @param high upper 64 bits
 * @param low lower 64 bits
 * @param full whether the source has reread its image for it, and the target is to do the same
 */
public record DigestValue(long high, long low, boolean full) implements Message {
  @Override
  public FrameType type() {
    return FrameType.DIGEST;
  }
}
