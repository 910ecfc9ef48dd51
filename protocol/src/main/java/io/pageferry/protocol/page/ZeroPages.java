package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Finds zero pages at memory speed. */
public final class ZeroPages {
  private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG_UNALIGNED;
  private static final int STEP = 8 * Long.BYTES;

  private ZeroPages() {}

  /** Whether {@code length} bytes from {@code offset} are all zero. */
  public static boolean isZero(MemorySegment segment, long offset, long length) {
    long end = offset + length;
    long at = offset;
    for (; at <= end - STEP; at += STEP) {
      // One branch for eight words; most pages with content end here, in the first step.
      if ((segment.get(WORD, at)
              | segment.get(WORD, at + 8)
              | segment.get(WORD, at + 16)
              | segment.get(WORD, at + 24)
              | segment.get(WORD, at + 32)
              | segment.get(WORD, at + 40)
              | segment.get(WORD, at + 48)
              | segment.get(WORD, at + 56))
          != 0) {
        return false;
      }
    }
    for (; at < end; at++) {
      if (segment.get(ValueLayout.JAVA_BYTE, at) != 0) {
        return false;
      }
    }
    return true;
  }

  /** Whether {@code length} bytes from {@code index} are all zero; indices stay as they are. */
  public static boolean isZero(ByteBuf buf, int index, int length) {
    return isZero(MemorySegment.ofBuffer(buf.nioBuffer(index, length)), 0, length);
  }
}
