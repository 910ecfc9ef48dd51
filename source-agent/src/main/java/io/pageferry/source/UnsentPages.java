package io.pageferry.source;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The pages that the target still has to get in post-copy: one bit a page and region. Whoever is
 * about to send a page claims it first, and only one claim of a page succeeds, so that a page
 * crosses once although a push and the guest's own faults go for the same ones.
 *
 * <p>Threading: {@link #mark} before the object is shared; everything else by any thread, without
 * locks.
 */
final class UnsentPages {
  private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);

  /** Takes runs of pages, in ascending order. */
  interface Runs {
    void run(int region, long firstPage, long count);
  }

  private final long[][] words;
  private final long[] pages;
  private final long granule;
  private final AtomicLong count = new AtomicLong();

  /**
   * No page is missing yet.
   *
   * @param regionPages the size of each region in pages
   */
  UnsentPages(long[] regionPages) {
    this(regionPages, 1);
  }

  /**
   * As the other, for a target whose guest has huge pages, of which a part cannot be missing.
   *
   * @param granulePages so many pages, from a multiple of it on, are marked together; a power of
   *     two
   */
  UnsentPages(long[] regionPages, int granulePages) {
    granule = granulePages;
    pages = regionPages.clone();
    words = new long[pages.length][];
    for (int region = 0; region < pages.length; region++) {
      words[region] = new long[Math.toIntExact((pages[region] + 63) >>> 6)];
    }
  }

  /** Adds pages, in whole granules; those that are marked already are not counted again. */
  void mark(int region, long firstPage, long runPages) {
    mark(region, firstPage, runPages, (of, first, pagesOfRun) -> {});
  }

  /**
   * Adds pages, in whole granules.
   *
   * @param fresh gets the runs of those that were not marked before
   */
  void mark(int region, long firstPage, long runPages, Runs fresh) {
    if (!holds(region, firstPage, runPages)) {
      throw new IndexOutOfBoundsException(
          "pages %d+%d of region %d".formatted(firstPage, runPages, region));
    }
    if (runPages == 0) {
      return;
    }
    long[] bits = words[region];
    long begin = firstPage & -granule;
    long end = Math.min(pages[region], (firstPage + runPages + granule - 1) & -granule);
    Joined runs = new Joined(region, fresh);
    for (long page = begin; page < end; page = nextWord(page)) {
      int word = (int) (page >>> 6);
      long added = mask(page, end) & ~bits[word];
      bits[word] |= added;
      count.addAndGet(Long.bitCount(added));
      runs.add(page & -64, added);
    }
    runs.end();
  }

  /** Whether there are such pages at all, for numbers that come from a peer. */
  boolean holds(int region, long firstPage, long runPages) {
    return region >= 0
        && region < pages.length
        && firstPage >= 0
        && runPages >= 0
        && runPages <= pages[region]
        && firstPage <= pages[region] - runPages;
  }

  int regions() {
    return pages.length;
  }

  /** Pages of a region, sent or not. */
  long pages(int region) {
    return pages[region];
  }

  /** How many pages nobody has claimed. */
  long count() {
    return count.get();
  }

  /** Whether this page is the caller's to send now. */
  boolean claim(int region, long page) {
    return claim(region, (int) (page >>> 6), 1L << page) != 0;
  }

  /**
   * Claims all pages of a range that nobody has claimed, and reports them as runs in ascending
   * order.
   *
   * @return how many they are
   */
  long claimRange(int region, long firstPage, long end, Runs claimed) {
    long sum = 0;
    Joined runs = new Joined(region, claimed);
    for (long page = firstPage; page < end; page = nextWord(page)) {
      long got = claim(region, (int) (page >>> 6), mask(page, end));
      sum += Long.bitCount(got);
      runs.add(page & -64, got);
    }
    runs.end();
    return sum;
  }

  /** Makes runs of the bits of one word after the other. */
  private static final class Joined {
    private final int region;
    private final Runs taking;
    private long start;
    private long end = -1;

    private Joined(int region, Runs taking) {
      this.region = region;
      this.taking = taking;
    }

    private void add(long base, long word) {
      long bits = word;
      while (bits != 0) {
        int from = Long.numberOfTrailingZeros(bits);
        int length = Long.numberOfTrailingZeros(~(bits >>> from));
        bits &= length == 64 ? 0 : ~(((1L << length) - 1) << from);
        if (base + from != end) {
          end();
          start = base + from;
        }
        end = base + from + length;
      }
    }

    private void end() {
      if (end >= 0) {
        taking.run(region, start, end - start);
      }
      end = -1;
    }
  }

  /** Reports all unclaimed pages. */
  void forEach(Runs unclaimed) {
    for (int region = 0; region < pages.length; region++) {
      Joined runs = new Joined(region, unclaimed);
      for (int word = 0; word < words[region].length; word++) {
        runs.add((long) word << 6, (long) WORD.getAcquire(words[region], word));
      }
      runs.end();
    }
  }

  /** The first unclaimed page at or after {@code from} and before {@code end}, or {@code end}. */
  long nextUnsent(int region, long from, long end) {
    long[] bits = words[region];
    for (long page = from; page < end; page = nextWord(page)) {
      long left = (long) WORD.getAcquire(bits, (int) (page >>> 6)) & mask(page, end);
      if (left != 0) {
        return (page & -64) + Long.numberOfTrailingZeros(left);
      }
    }
    return end;
  }

  /** The last unclaimed page at or after {@code begin} and before {@code end}, or -1. */
  long lastUnsent(int region, long begin, long end) {
    long[] bits = words[region];
    for (long past = end; past > begin; past = (past - 1) & -64) {
      long wordBegin = Math.max(begin, (past - 1) & -64);
      long left = (long) WORD.getAcquire(bits, (int) (wordBegin >>> 6)) & mask(wordBegin, past);
      if (left != 0) {
        return (wordBegin & -64) + 63 - Long.numberOfLeadingZeros(left);
      }
    }
    return -1;
  }

  /** Which of the wanted bits of a word were there and are the caller's now. */
  private long claim(int region, int word, long wanted) {
    long[] bits = words[region];
    while (true) {
      long before = (long) WORD.getAcquire(bits, word);
      long got = before & wanted;
      if (got == 0) {
        return 0;
      }
      if (WORD.compareAndSet(bits, word, before, before & ~got)) {
        count.addAndGet(-Long.bitCount(got));
        return got;
      }
    }
  }

  /** The bits of the word of {@code page}, from it on, as far as they lie before {@code end}. */
  private static long mask(long page, long end) {
    int from = (int) (page & 63);
    long past = Math.min(64, from + (end - page));
    return (-1L << from) & (-1L >>> (64 - past));
  }

  private static long nextWord(long page) {
    return (page | 63) + 1;
  }
}
