package io.pageferry.source;

import java.util.concurrent.atomic.LongAdder;

/**
 * Finds out in the first round whether the link is so slow that work which saves bytes pays. Any
 * number of threads.
 */
final class LinkTrial {
  /** What tells a link from the buffers in front of it, whichever comes first. */
  private static final long TRIAL_BYTES = 32L << 20;

  private static final long TRIAL_NANOS = 100_000_000;

  /** Fewer bytes say nothing of the link: pages of zeros go by name, a gigabyte in some bytes. */
  private static final long TELLING_BYTES = 1L << 20;

  /** What is known so far. */
  enum Outcome {
    OPEN,
    SLOW,
    FAST
  }

  private final long bytesPerSecond;
  private final LongAdder sent = new LongAdder();
  private volatile long begun;
  private volatile Outcome outcome;

  /**
   * @param bytesPerSecond a link that carries less is slow
   * @param slow whether that is known beforehand
   */
  LinkTrial(long bytesPerSecond, boolean slow) {
    this.bytesPerSecond = bytesPerSecond;
    this.outcome = slow ? Outcome.SLOW : Outcome.OPEN;
  }

  /** The first round is about to begin. */
  void begin() {
    begun = System.nanoTime();
  }

  /** So much went out. */
  void sent(long bytes) {
    sent.add(bytes);
  }

  Outcome outcome() {
    if (outcome == Outcome.OPEN) {
      long bytes = sent.sum();
      long nanos = System.nanoTime() - begun;
      if (bytes >= TELLING_BYTES && (bytes >= TRIAL_BYTES || nanos >= TRIAL_NANOS)) {
        outcome = bytes * 1e9 / Math.max(1, nanos) < bytesPerSecond ? Outcome.SLOW : Outcome.FAST;
      }
    }
    return outcome;
  }
}
