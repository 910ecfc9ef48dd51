package io.pageferry.source;

import io.pageferry.protocol.page.ContentHash;

/**
 * Whether one channel's pages are offered by their digests: a digest costs both sides some time of
 * a processor, which only a link that is waited for repays.
 *
 * <p>Under a cap of less than {@link #WORTHWHILE_BYTES_PER_SECOND} they are: who sets one wants
 * fewer bytes. On a link so slow that there is always time to hash ({@link Pacer#isSlow}) bytes
 * decide after each stretch of pages: offers stay as long as what is found saves a few times what
 * the digests take, and else are tried again a stretch at a time, so that the place where guests
 * begin to be alike is not missed. The target remembers there what comes unoffered.
 *
 * <p>Elsewhere it goes by the clock, as nobody knows what the link carries. Offers are tried where
 * the sender waits for a link that carries less than that. Then both ways are compared, a stretch
 * each, and the quicker one stays: soon, where the link is not waited for, because then nothing
 * hides the hashing; from time to time, where it is, because the wait may be for a target that is
 * busy. The other way is tried again later, and later each time.
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

  /**
   * What is found must save so many times what the digests take: as much again goes where blocks
   * that are packed together break up, and in the time that an answer takes.
   */
  private static final int PAYING = 3;

  /** A smaller share of the time is not waiting, but handing frames over. */
  private static final double WAITING = 0.25;

  /** In stretches; doubled by each comparison. */
  private static final int FIRST_PAUSE = 8;

  private static final int LONGEST_PAUSE = 64;

  /** The same where bytes decide: an offer in vain costs a few bytes in a hundred. */
  private static final int LONGEST_PAUSE_BY_BYTES = 8;

  /** What sending must be quicker by than offers that wait for the link. */
  private static final double QUICKER = 0.9;

  private final boolean always;
  private final boolean byBytes;
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
  private long answered;
  private long found;

  /**
   * @param wanted whether pages are offered whatever it costs
   * @param cap of the link, bytes a second; 0 for none
   * @param channels that share the link
   */
  Deduplication(boolean wanted, long cap, int channels) {
    boolean capped = cap > 0 && cap < WORTHWHILE_BYTES_PER_SECOND;
    this.byBytes = !wanted && Pacer.isSlow(cap);
    this.always = wanted || (capped && !byBytes);
    this.slowBytesPerSecond = (double) WORTHWHILE_BYTES_PER_SECOND / channels;
    offering = always || capped;
  }

  /** Whether the next pages are to be offered. */
  boolean offering() {
    return offering;
  }

  /**
   * The target's word on pages that were offered for the first time.
   *
   * @param offeredPages how many
   * @param foundPages how many of them are there, or on their way there
   */
  void answered(int offeredPages, int foundPages) {
    answered += offeredPages;
    found += foundPages;
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
      if (byBytes) {
        judgeByBytes();
      } else if (!always) {
        judgeByClock((double) nanos / pages);
      }
      beginStretch();
    }
  }

  /** What was found in the last round says nothing of the pages of the next one. */
  void beginRound() {
    if (byBytes) {
      beginStretch();
    }
  }

  private void beginStretch() {
    pages = 0;
    bytes = 0;
    nanos = 0;
    waitNanos = 0;
    answered = 0;
    found = 0;
  }

  private void judgeByBytes() {
    if (!offering) {
      offering = ++since >= pause;
      return;
    }
    if (answered == 0) {
      return; // of pages that are not offered, because something better is known of them
    }
    // A page that is not sent would have been as long as those that are.
    double saved = (double) found * bytes / Math.max(1, answered - found);
    if (saved >= (double) PAYING * ContentHash.BYTES * answered) {
      pause = 0;
    } else {
      offering = false;
      since = 0;
      pause = Math.clamp(2L * pause, 1, LONGEST_PAUSE_BY_BYTES);
    }
  }

  private void judgeByClock(double pageNanos) {
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
