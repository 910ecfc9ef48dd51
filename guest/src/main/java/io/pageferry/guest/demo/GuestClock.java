package io.pageferry.guest.demo;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.UUID;

/**
 * A moment that another process can compare with: on the same boot of the same host by the
 * monotonic clock, which all processes share, otherwise by the wall clock.
 *
 * @param boot the kernel's boot id; all zero where it cannot be read
 * @param monotonicNanos {@link System#nanoTime}
 * @param wallMicros microseconds since 1970
 */
record GuestClock(UUID boot, long monotonicNanos, long wallMicros) {
  private static final UUID UNKNOWN = new UUID(0, 0);
  private static final UUID BOOT = bootId();

  static GuestClock now() {
    return at(System.nanoTime());
  }

  /** The moment that a recent reading of {@link System#nanoTime} meant. */
  static GuestClock at(long nanoTime) {
    long wall = ChronoUnit.MICROS.between(Instant.EPOCH, Instant.now());
    return new GuestClock(BOOT, nanoTime, wall - (System.nanoTime() - nanoTime) / 1000);
  }

  /** How long before {@code later} this was; never negative, whatever wall clocks say. */
  long microsUntil(GuestClock later) {
    long micros =
        boot.equals(later.boot) && !boot.equals(UNKNOWN)
            ? (later.monotonicNanos - monotonicNanos) / 1000
            : later.wallMicros - wallMicros;
    return Math.max(0, micros);
  }

  private static UUID bootId() {
    try {
      return UUID.fromString(Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip());
    } catch (IOException | IllegalArgumentException e) {
      return UNKNOWN;
    }
  }
}
