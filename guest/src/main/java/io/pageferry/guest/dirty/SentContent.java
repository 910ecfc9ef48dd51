package io.pageferry.guest.dirty;

import java.lang.foreign.MemorySegment;

/** What the other side was last sent, page by page. */
@FunctionalInterface
public interface SentContent {
  /**
   * Compares a page with what was last sent of it.
   *
   * @param region the region's index
   * @param page counted from 0 in the region
   * @param fourKiB 4096 bytes, off heap, valid during the call only
   * @return whether they differ from what was last sent for this page
   */
  boolean differs(int region, long page, MemorySegment fourKiB);
}
