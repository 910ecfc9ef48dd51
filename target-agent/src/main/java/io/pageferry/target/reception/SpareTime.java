package io.pageferry.target.reception;

/**
 * Whether the pages of one channel come so slowly that the time to hash them is there, and whether
 * that is still to be done: a source that finds that offers do not pay sends its pages unasked, and
 * what is not remembered then is not found when another guest's source asks for it.
 *
 * <p>Pure arithmetic. Owned by the channel's landing.
 */
final class SpareTime {
  /**
   * Of 150 MB/s, below which sources offer pages; one takes some three microseconds to be hashed.
   */
  static final long SLOW_PAGE_NANOS = 27_000;

  /** Fewer pages come in one frame, which tells nothing of the link. */
  static final int STRETCH_PAGES = 256;

  private final int mostUnanswered;
  private long begin;
  private int pages;
  private boolean slow;

  /** So many frames may still come of pages that were offered, and hashed then. */
  private int offered;

  /**
   * @param mostUnanswered so many offers may be on their way
   * @param now the time, in nanoseconds of any clock
   */
  SpareTime(int mostUnanswered, long now) {
    this.mostUnanswered = mostUnanswered;
    this.begin = now;
  }

  /**
   * A frame has landed.
   *
   * @param now on the same clock
   * @param count pages that came in it with content
   * @param asked whether it offered pages instead
   */
  void landed(long now, int count, boolean asked) {
    offered = asked ? Math.min(mostUnanswered, offered + 1) : Math.max(0, offered - 1);
    pages += count;
    if (pages >= STRETCH_PAGES) {
      slow = now - begin >= SLOW_PAGE_NANOS * pages;
      begin = now;
      pages = 0;
    }
  }

  /** Whether the pages of the next frame are to be hashed. */
  boolean suffices() {
    return slow && offered == 0;
  }
}
