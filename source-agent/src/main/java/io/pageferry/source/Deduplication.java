package io.pageferry.source;

/**
 * Whether one channel's pages are offered by their digests, by the clock: a digest costs both sides
 * some time of a processor, which only a link that is waited for repays.
 *
 * <ul>
 *   <li>While the sender waits for the link for a good part of its time, hashing is hidden behind
 *       that, and pages are offered.
 *   <li>Where it begins without an offer, that and a link that carries less than {@link
 *       #WORTHWHILE_BYTES_PER_SECOND} are what it takes to try.
 *   <li>What was begun and does not show a link that is waited for (an answer may be long in coming
 *       because the other side is busy) is compared with a stretch of pages without it, and the
 *       quicker way stays. The other one is tried again later, and later each time.
 * </ul>
 *
 * <p>Pure arithmetic. Owned by one sender.
 */
final class Deduplication {
  /** A page takes 27 µs on a link that carries this, and some three to be hashed. */
  static final long WORTHWHILE_BYTES_PER_SECOND = 150_000_000;

  /** What a stretch has at least: what is on its way from the one before is the smaller part. */
  static final int STRETCH_PAGES = 2048;

  /** Less is not measured well beside others who want the processor. */
  static final long STRETCH_NANOS = 20_000_000;

  /** A smaller share of the time is not waiting, but handing frames over. */
  private static final double WAITING = 0.25;

  /** In stretches; doubled by each attempt that changed nothing. */
  private static final int FIRST_PAUSE = 8;

  private static final int LONGEST_PAUSE = 64;

  /** Stretches of code that has never run: it keeps a sender from waiting for any link. */
  private static final int COLD = 4;

  private final boolean always;
  private boolean offering;

  /** Whether the present way is on trial against {@link #otherNanos}. */
  private boolean trying;

  /** What a page took in the other way, nanoseconds. */
  private double otherNanos;

  private int pause = FIRST_PAUSE;

  /** Stretches until the other way may be tried. */
  private int due = COLD;

  // Of the present stretch.
  private long pages;
  private long bytes;
  private long nanos;
  private long waitNanos;

  /**
   * @param always whether pages are offered whatever it costs
   * @param cap of the link, bytes a second; 0 for none
   */
  Deduplication(boolean always, long cap) {
    this.always = always;
    offering = always || (cap > 0 && cap < WORTHWHILE_BYTES_PER_SECOND);
  }

  /** Whether the next pages are to be offered. */
  boolean offering() {
    return offering;
  }

  /**
   * Pages with content have been dealt with, or offered.
   *
   * @param sentPages how many
   * @param sentBytes handed to the link for them, or for others before them
   * @param tookNanos all of it
   * @param linkNanos of that, waiting until the link took something
   */
  void sent(int sentPages, long sentBytes, long tookNanos, long linkNanos) {
    pages += sentPages;
    bytes += sentBytes;
    nanos += tookNanos;
    waitNanos += linkNanos;
    if (pages >= STRETCH_PAGES && nanos >= STRETCH_NANOS) {
      if (!always) {
        judge((double) nanos / pages);
      }
      pages = 0;
      bytes = 0;
      nanos = 0;
      waitNanos = 0;
    }
  }

  private void judge(double pageNanos) {
    boolean waits = waitNanos >= WAITING * nanos;
    if (trying) {
      trying = false;
      if (pageNanos >= otherNanos && !(offering && waits)) {
        turn(pause);
        pause = Math.min(2 * pause, LONGEST_PAUSE);
      } else {
        pause = FIRST_PAUSE;
        due = pause;
      }
      return;
    }
    if (due > 0) {
      due--;
      return;
    }
    boolean slow = bytes * 1e9 < (double) WORTHWHILE_BYTES_PER_SECOND * nanos;
    if (offering ? !waits : waits && slow) {
      otherNanos = pageNanos;
      trying = true;
      turn(0);
    }
  }

  private void turn(int stretches) {
    offering = !offering;
    due = stretches;
  }
}
