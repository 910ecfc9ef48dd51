package io.pageferry.guest.fault;

import java.util.Arrays;
import java.util.function.LongConsumer;

/**
 * The pages that somebody in the guest waits for and that were asked of the source, and since when.
 * There are never more than the guest has threads, so a plain list is quick enough. Any thread;
 * makes no garbage.
 */
final class WaitingPages {
  /** Takes what was waited for. */
  @FunctionalInterface
  interface Consumer {
    void page(int region, long page);
  }

  private int[] regions = new int[64];
  private long[] pages = new long[64];
  private long[] since = new long[64];

  /** Written under the lock. Volatile: who has cleared a page's bit looks here without it. */
  private volatile int size;

  int size() {
    return size;
  }

  /** Adds a page; false if it is there. */
  synchronized boolean add(int region, long page, long nanos) {
    int at = size;
    for (int i = 0; i < at; i++) {
      if (pages[i] == page && regions[i] == region) {
        return false;
      }
    }
    if (at == pages.length) {
      regions = Arrays.copyOf(regions, 2 * at);
      pages = Arrays.copyOf(pages, 2 * at);
      since = Arrays.copyOf(since, 2 * at);
    }
    regions[at] = region;
    pages[at] = page;
    since[at] = nanos;
    size = at + 1;
    return true;
  }

  /**
   * Takes out the pages of a range.
   *
   * @param waitedSince gets the time of each
   * @return how many
   */
  int take(int region, long firstPage, long count, LongConsumer waitedSince) {
    return size == 0 ? 0 : takeEach(region, firstPage, count, waitedSince);
  }

  private synchronized int takeEach(
      int region, long firstPage, long count, LongConsumer waitedSince) {
    int taken = 0;
    int left = size;
    for (int i = left - 1; i >= 0; i--) {
      if (regions[i] == region && pages[i] >= firstPage && pages[i] < firstPage + count) {
        waitedSince.accept(since[i]);
        taken++;
        left--;
        regions[i] = regions[left];
        pages[i] = pages[left];
        since[i] = since[left];
      }
    }
    size = left;
    return taken;
  }

  /** How long the one that waits longest has done so at {@code now}; 0 if nobody waits. */
  synchronized long oldestNanos(long now) {
    long oldest = 0;
    for (int i = 0; i < size; i++) {
      oldest = Math.max(oldest, now - since[i]);
    }
    return oldest;
  }

  /** Reports the pages of a range without taking them out. */
  synchronized void forEach(int region, long firstPage, long count, Consumer consumer) {
    for (int i = 0; i < size; i++) {
      if (regions[i] == region && pages[i] >= firstPage && pages[i] < firstPage + count) {
        consumer.page(region, pages[i]);
      }
    }
  }
}
