package io.pageferry.guest.demo;

import org.jspecify.annotations.Nullable;

/**
 * What the vCPU lets others see of the registers while it runs: written by its thread after each
 * tick, read by any.
 */
final class GuestCounters {
  private static final long SAMPLE_NANOS = 100_000_000;

  /** One more than the samples of a second, so that the oldest is a second old. */
  private static final int SAMPLES = 11;

  private volatile long ticks;
  private volatile long writes;
  private volatile long writesPerSecond;
  private volatile long pagesChecked;
  private volatile long faults;
  private volatile @Nullable String firstFault;
  private volatile long longestGapMicros;
  private volatile long handoverGapMicros;

  private final long[] sampleNanos = new long[SAMPLES];
  private final long[] sampleWrites = new long[SAMPLES];
  private int samples;
  private int newest;

  void publish(Registers registers, long handoverGap, long now) {
    ticks = registers.ticks;
    writes = registers.writes;
    pagesChecked = registers.pagesChecked;
    longestGapMicros = registers.longestGapMicros;
    handoverGapMicros = handoverGap;
    firstFault = registers.firstFault;
    faults = registers.faults;
    if (samples == 0 || now - sampleNanos[newest] >= SAMPLE_NANOS) {
      newest = (newest + 1) % SAMPLES;
      sampleNanos[newest] = now;
      sampleWrites[newest] = registers.writes;
      samples = Math.min(samples + 1, SAMPLES);
      int oldest = (newest - samples + 1 + SAMPLES) % SAMPLES;
      long nanos = now - sampleNanos[oldest];
      writesPerSecond =
          nanos == 0
              ? 0
              : Math.round(
                  (double) (registers.writes - sampleWrites[oldest]) * 1e9 / (double) nanos);
    }
  }

  /** The guest stood still: what was written before says nothing about the rate afterwards. */
  void forgetRate() {
    samples = 0;
    writesPerSecond = 0;
  }

  long ticks() {
    return ticks;
  }

  long writes() {
    return writes;
  }

  long writesPerSecond() {
    return writesPerSecond;
  }

  long pagesChecked() {
    return pagesChecked;
  }

  long faults() {
    return faults;
  }

  @Nullable String firstFault() {
    return firstFault;
  }

  long longestGapMicros() {
    return longestGapMicros;
  }

  long handoverGapMicros() {
    return handoverGapMicros;
  }
}
