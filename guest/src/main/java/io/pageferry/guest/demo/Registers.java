package io.pageferry.guest.demo;

import org.jspecify.annotations.Nullable;

/**
 * All that the guest knows beside its memory: what a migration carries as device state. Owned by
 * the thread of {@link Vcpu}; others may look while that stands still.
 */
final class Registers {
  final long seed;
  final PagePattern pattern;

  /** Bytes a second; {@link Long#MAX_VALUE} for as fast as it can. */
  final long dirtyRate;

  final WorkingSet workingSet;

  /** How much of a page's content a write changes; the header changes in any case. */
  final int writeBytes;

  long ticks;
  long writes;
  long pagesChecked;
  long faults;
  @Nullable String firstFault;
  long longestGapMicros;
  long random;
  long strideNext;

  /** When the guest last ran; null before its first tick. */
  @Nullable GuestClock lastTick;

  /** Of a guest that writes whole pages. */
  Registers(long seed, PagePattern pattern, long dirtyRate, WorkingSet workingSet) {
    this(seed, pattern, dirtyRate, workingSet, PageFormat.BODY_BYTES);
  }

  Registers(long seed, PagePattern pattern, long dirtyRate, WorkingSet workingSet, int writeBytes) {
    this.seed = seed;
    this.pattern = pattern;
    this.dirtyRate = dirtyRate;
    this.workingSet = workingSet;
    this.writeBytes = writeBytes;
    this.random = seed;
  }

  /** The next 64 random bits. */
  long nextRandom() {
    random += 0x9E3779B97F4A7C15L;
    return PageFormat.mix(random);
  }
}
