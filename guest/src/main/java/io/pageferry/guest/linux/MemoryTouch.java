package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Reads a byte of memory in a foreign call. A thread that waits for a page within Java code keeps
 * the whole JVM waiting at its next safepoint; one that waits in a foreign call does not. Costs
 * some ten nanoseconds where the page is there.
 */
public final class MemoryTouch {
  /** What is read is of no interest, so all threads may put it here. */
  private static final MemorySegment ANYWHERE = Arena.global().allocate(JAVA_BYTE);

  private MemoryTouch() {}

  /** Returns when the page at {@code offset} is there. */
  public static void touch(MemorySegment memory, long offset) {
    LinuxCalls.memcpy(ANYWHERE, memory.asSlice(offset, 1), 1);
  }
}
