package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Finds zero pages at memory speed. */
public final class ZeroPages {
  private static final MemorySegment ZEROS =
      Arena.global().allocate(PageBatch.PAGE_BYTES, PageBatch.PAGE_BYTES);

  private ZeroPages() {}

  /** Whether {@code length} bytes from {@code offset} are all zero. */
  public static boolean isZero(MemorySegment segment, long offset, long length) {
    // Most pages with content show it in their first word: a page is rejected for one load.
    if (length >= Long.BYTES && segment.get(ValueLayout.JAVA_LONG_UNALIGNED, offset) != 0) {
      return false;
    }
    for (long at = 0; at < length; at += PageBatch.PAGE_BYTES) {
      long part = Math.min(PageBatch.PAGE_BYTES, length - at);
      if (MemorySegment.mismatch(segment, offset + at, offset + at + part, ZEROS, 0, part) >= 0) {
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
