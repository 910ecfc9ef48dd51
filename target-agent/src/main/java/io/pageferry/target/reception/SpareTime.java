package io.pageferry.target.reception;

/**
 * Whether one channel waits so long for its pages that it may hash them as well, and whether that
 * is still to be done: a source that offers pages, and finds that it does not pay, sends the next
 * ones unasked, and what is not remembered then is not found when another guest's source asks for
 * it. A source that never offers wants nothing of it remembered.
 *
 * <p>Only the time between frames counts: a target that is itself what takes so long is not given
 * more to do. Where channels share a thread that includes the others' work, so more is asked for
 * where there are more of them.
 *
 * <p>Pure arithmetic. Owned by the channel's landing.
 */
final class SpareTime {
  /** For each page; hashing one takes some three microseconds. */
  static final long WAITING_NANOS = 20_000;

  /** Fewer pages come in one frame, which tells nothing of the link. */
  static final int STRETCH_PAGES = 256;

  private final long enough;
  private final int mostUnanswered;
  private long ended = -1;
  private long waited;
  private int pages;
  private boolean waits;
  private boolean everAsked;

  /** So many frames may still come of pages that were offered, and hashed then. */
  private int offered;

  /**
   * @param channels that share the link, and one host
   * @param mostUnanswered so many offers may be on their way
   */
  SpareTime(int channels, int mostUnanswered) {
    this.enough = WAITING_NANOS * channels;
    this.mostUnanswered = mostUnanswered;
  }

  /**
   * A frame is here.
   *
   * @param now the time, in nanoseconds of any clock from 0 on
   */
  void begins(long now) {
    if (ended >= 0) {
      waited += now - ended;
    }
  }

  /**
   * It has landed.
   *
   * @param now on the same clock
   * @param count pages that came in it with content
   */
  void landed(long now, int count) {
    ended = now;
    offered = Math.max(0, offered - 1);
    pages += count;
    if (pages >= STRETCH_PAGES) {
      waits = waited >= enough * pages;
      waited = 0;
      pages = 0;
    }
  }

  /**
   * As {@link #landed}, of one that offered pages.
   *
   * @param wanted whether one of them is to be sent
   */
  void answered(long now, boolean wanted) {
    ended = now;
    everAsked = true;
    if (wanted) {
      offered = Math.min(mostUnanswered, offered + 1);
    }
  }

  /** Whether the pages of the next frame are to be hashed. */
  boolean suffices() {
    return waits && everAsked && offered == 0;
  }
}
