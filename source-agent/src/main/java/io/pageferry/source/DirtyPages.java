package io.pageferry.source;

import io.pageferry.guest.image.PageRunConsumer;
import java.io.IOException;
import java.util.Arrays;

/**
 * A set of the guest's pages: one bit a page and region.
 *
 * <p>A page may be marked again before it was sent (once when a round begins, once more when the
 * guest is paused); it is still sent once. Threading: the migration's driver thread only.
 */
final class DirtyPages {
  private final long[][] words;
  private final long[] pages;
  private long count;

  /**
   * @param regionPages the size of each region in pages
   */
  DirtyPages(long[] regionPages) {
    pages = regionPages.clone();
    words = new long[pages.length][];
    for (int region = 0; region < pages.length; region++) {
      words[region] = new long[Math.toIntExact((pages[region] + 63) >>> 6)];
    }
  }

  /** Marks a run; pages marked already are not counted again. */
  void mark(int region, long firstPage, long runPages) {
    if (firstPage < 0 || runPages < 0 || firstPage + runPages > pages[region]) {
      throw new IndexOutOfBoundsException(
          "pages %d+%d of region %d with %d".formatted(firstPage, runPages, region, pages[region]));
    }
    long[] bits = words[region];
    long page = firstPage;
    long end = firstPage + runPages;
    while (page < end) {
      int word = (int) (page >>> 6);
      int from = (int) (page & 63);
      int to = (int) Math.min(64, from + (end - page));
      long mask = (-1L << from) & (-1L >>> (64 - to));
      count += Long.bitCount(mask & ~bits[word]);
      bits[word] |= mask;
      page += to - from;
    }
  }

  /** How many pages are marked. */
  long count() {
    return count;
  }

  /** Clears all marks. */
  void clear() {
    for (long[] bits : words) {
      Arrays.fill(bits, 0);
    }
    count = 0;
  }

  /**
   * Moves marks to {@code to}, but not those of pages that both of the others have marked too; of
   * those the first {@code mayStay} stay here. All are of the same regions.
   */
  void moveTo(DirtyPages to, DirtyPages one, DirtyPages other, long mayStay) {
    long stayed = 0;
    for (int region = 0; region < words.length; region++) {
      for (int word = 0; word < words[region].length; word++) {
        long marked = words[region][word];
        long stay = marked & one.words[region][word] & other.words[region][word];
        while (stayed + Long.bitCount(stay) > mayStay) {
          stay &= ~Long.highestOneBit(stay);
        }
        stayed += Long.bitCount(stay);
        long moved = marked & ~stay;
        to.count += Long.bitCount(moved & ~to.words[region][word]);
        to.words[region][word] |= moved;
        words[region][word] = stay;
      }
    }
    count = stayed;
  }

  /** Reports every marked page as runs in ascending order and clears the marks. */
  void drainTo(PageRunConsumer consumer) throws IOException {
    for (int region = 0; region < words.length; region++) {
      long[] bits = words[region];
      long end = pages[region];
      for (long page = nextMarked(bits, 0, end); page < end; ) {
        long stop = nextClear(bits, page, end);
        consumer.run(region, page, stop - page);
        page = nextMarked(bits, stop, end);
      }
      Arrays.fill(bits, 0);
    }
    count = 0;
  }

  private static long nextMarked(long[] bits, long from, long end) {
    return next(bits, from, end, 0);
  }

  private static long nextClear(long[] bits, long from, long end) {
    return next(bits, from, end, -1L);
  }

  /** The first page at or after {@code from} whose bit differs from those of {@code skipped}. */
  private static long next(long[] bits, long from, long end, long skipped) {
    if (from >= end) {
      return end;
    }
    int word = (int) (from >>> 6);
    long candidates = (bits[word] ^ skipped) & (-1L << from);
    while (candidates == 0) {
      if (++word == bits.length) {
        return end;
      }
      candidates = bits[word] ^ skipped;
    }
    return Math.min(end, ((long) word << 6) + Long.numberOfTrailingZeros(candidates));
  }
}
