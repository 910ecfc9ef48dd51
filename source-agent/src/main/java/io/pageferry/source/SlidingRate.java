package io.pageferry.source;

import java.util.ArrayDeque;

/**
 * How fast a count grew over the last two seconds, or since its first sample while that is less
 * long ago. A rate since the beginning would remember for minutes that the first pages were empty
 * and cost nothing.
 *
 * <p>One thread.
 */
final class SlidingRate {
  static final long WINDOW_NANOS = 2_000_000_000;

  private record Sample(long nanoTime, long count) {}

  private final ArrayDeque<Sample> samples = new ArrayDeque<>();

  /** Takes what the count is now; both numbers only grow. */
  void add(long nanoTime, long count) {
    samples.addLast(new Sample(nanoTime, count));
    // The oldest one stays until the next is old enough to span the window.
    while (samples.size() > 2 && nanoTime - second().nanoTime() >= WINDOW_NANOS) {
      samples.removeFirst();
    }
  }

  private Sample second() {
    var each = samples.iterator();
    each.next();
    return each.next();
  }

  /** 0 before there are two samples. */
  long perSecond() {
    if (samples.size() < 2) {
      return 0;
    }
    Sample first = samples.getFirst();
    Sample last = samples.getLast();
    long nanos = Math.max(1, last.nanoTime() - first.nanoTime());
    return (long) (Math.max(0, last.count() - first.count()) * 1e9 / nanos);
  }
}
