package io.pageferry.target.reception;

import io.pageferry.protocol.page.ImageLayout;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Which pages of the image still hold what they held at an earlier time, and have been named to the
 * source: it may refer to such a page once, and not when it has sent it.
 *
 * <p>Two bits a page. Any thread.
 */
final class EarlierPages {
  private final AtomicLongArray[] named;
  private final AtomicLongArray[] landed;

  EarlierPages(ImageLayout layout) {
    named = words(layout);
    landed = words(layout);
  }

  private static AtomicLongArray[] words(ImageLayout layout) {
    return layout.regions().stream()
        .map(region -> new AtomicLongArray(Math.toIntExact((region.pages() + 63) / 64)))
        .toArray(AtomicLongArray[]::new);
  }

  /** The source hears what this page holds. */
  void name(int region, long page) {
    set(named[region], (int) (page / 64), 1L << page);
  }

  /** These pages hold what was sent now. */
  void landed(int region, long firstPage, long count) {
    forEachWord(
        firstPage,
        count,
        (word, bits) -> {
          set(landed[region], word, bits);
          return true;
        });
  }

  /**
   * The source refers to these pages.
   *
   * @return whether it may: all of them were named, and none has landed since. They have landed now
   */
  boolean take(int region, long firstPage, long count) {
    boolean all = holds(region, firstPage, count);
    if (all) {
      landed(region, firstPage, count);
    }
    return all;
  }

  /** Whether the source may send parts of these pages: all of them were named, none has landed. */
  boolean holds(int region, long firstPage, long count) {
    return forEachWord(
        firstPage,
        count,
        (word, bits) ->
            (named[region].get(word) & bits) == bits && (landed[region].get(word) & bits) == 0);
  }

  private static void set(AtomicLongArray words, int word, long bits) {
    words.accumulateAndGet(word, bits, (had, more) -> had | more);
  }

  private interface Word {
    boolean look(int word, long bits);
  }

  private static boolean forEachWord(long firstPage, long count, Word action) {
    long end = firstPage + count;
    for (long page = firstPage; page < end; ) {
      long wordEnd = Math.min(end, (page / 64 + 1) * 64);
      int length = (int) (wordEnd - page);
      long bits = (length == 64 ? -1L : (1L << length) - 1) << page;
      if (!action.look((int) (page / 64), bits)) {
        return false;
      }
      page = wordEnd;
    }
    return true;
  }
}
