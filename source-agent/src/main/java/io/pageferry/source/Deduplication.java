package io.pageferry.source;

/**
 * Whether one channel's pages are offered by their digests: a digest costs both sides some time of
 * a processor, which only a link that is waited for repays.
 *
 * <p>Under a cap of less than {@link #WORTHWHILE_BYTES_PER_SECOND} they are: who sets one wants
 * fewer bytes. Elsewhere it goes by the clock. Offers are tried where the sender waits for a link
 * that carries less than that. Then both ways are compared, a stretch of pages each, and the
 * quicker one stays: soon, where the link is not waited for, because then nothing hides the
 * hashing; from time to time, where it is, because the wait may be for a target that is busy. The
 * other way is tried again later, and later each time.
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

  /** In stretches; doubled by each comparison. */
  private static final int FIRST_PAUSE = 8;

  private static final int LONGEST_PAUSE = 64;

  /** What sending must be quicker by than offers that wait for the link. */
  private static final double QUICKER = 0.9;

  private final boolean always;
  private final double slowBytesPerSecond;
  private boolean offering;

  /** Whether the present way is on trial against the other. */
  private boolean trying;

  /** What a page took in the other way, nanoseconds. */
  private double otherNanos;

  /** Whether the link was waited for in the other way. */
  private boolean otherWaited;

  /** Stretches without a comparison. */
  private int since;

  /** How many there are to be. */
  private int pause;

  // Of the present stretch.
  private long pages;
  private long bytes;
  private long nanos;
  private long waitNanos;

  /**
   * @param wanted whether pages are offered whatever it costs
   * @param cap of the link, bytes a second; 0 for none
   * @param channels that share the link
   */
  Deduplication(boolean wanted, long cap, int channels) {
    this.always = wanted || (cap > 0 && cap < WORTHWHILE_BYTES_PER_SECOND);
    this.slowBytesPerSecond = (double) WORTHWHILE_BYTES_PER_SECOND / channels;
    offering = always;
  }

  /** Whether the next pages are to be offered. */
  boolean offering() {
    return offering;
  }

  /**
   * Pages with content have been dealt with, or offered.
   *
   * @param sentPages of how many pages the content was dealt with; 0 of those that were offered
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
      boolean worse =
          offering
              ? pageNanos >= otherNanos / (waits ? QUICKER : 1)
              : pageNanos >= otherNanos * (otherWaited ? QUICKER : 1);
      if (worse) {
        offering = !offering;
      }
      trying = false;
      since = 0;
      pause = Math.clamp(2L * pause, FIRST_PAUSE, LONGEST_PAUSE);
      return;
    }
    since++;
    if (since <= (offering && waits ? LONGEST_PAUSE : pause)) {
      return;
    }
    boolean slow = bytes * 1e9 < slowBytesPerSecond * nanos;
    if (offering || (waits && slow)) {
      otherNanos = pageNanos;
      otherWaited = waits;
      trying = true;
      offering = !offering;
    }
  }
}
