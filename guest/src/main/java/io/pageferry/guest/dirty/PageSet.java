package io.pageferry.guest.dirty;

import io.pageferry.guest.image.ImageRegion;
import io.pageferry.guest.image.PageRunConsumer;
import java.io.IOException;
import java.util.BitSet;

/** A set of pages of one region: a bit a page, 32 KiB for a GiB. Owned by one thread. */
final class PageSet {
  private final ImageRegion region;
  private final BitSet pages;

  PageSet(ImageRegion region) throws IOException {
    if (region.pages() > Integer.MAX_VALUE) {
      throw new IOException("region " + region.name() + " is larger than 8 TiB");
    }
    this.region = region;
    this.pages = new BitSet((int) region.pages());
  }

  void add(long firstPage, long count) {
    pages.set((int) firstPage, (int) (firstPage + count));
  }

  void remove(long firstPage, long count) {
    pages.clear((int) firstPage, (int) (firstPage + count));
  }

  /** The first page at or behind {@code page} that is not in the set. */
  long firstAbsent(long page) {
    return pages.nextClearBit((int) page);
  }

  void clear() {
    pages.clear();
  }

  /** Hands out the runs of the set within a range, in order, without changing it. */
  void forEachRun(long firstPage, long count, PageRunConsumer consumer) throws IOException {
    int end = (int) (firstPage + count);
    int first = pages.nextSetBit((int) firstPage);
    while (first >= 0 && first < end) {
      int past = Math.min(end, pages.nextClearBit(first));
      consumer.run(region.index(), first, past - first);
      first = pages.nextSetBit(past);
    }
  }

  /** Takes the runs out of the set one after the other, in order, and hands them out. */
  long drain(PageRunConsumer consumer) throws IOException {
    long drained = 0;
    int first = pages.nextSetBit(0);
    while (first >= 0) {
      int past = pages.nextClearBit(first);
      pages.clear(first, past);
      drained += past - first;
      consumer.run(region.index(), first, past - first);
      first = pages.nextSetBit(past);
    }
    return drained;
  }
}
