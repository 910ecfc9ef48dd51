package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.time.Duration;

/** Waits until a descriptor is ready, or closed, or the thread is interrupted. */
final class Readiness {
  /** A poll cannot be woken by an interrupt or by close, so it is done in steps of this. */
  private static final int STEP_MILLIS = 50;

  private Readiness() {}

  /** One poll; returns the events that are there, 0 for none. */
  static int await(Descriptor descriptor, int events, int millis) throws IOException {
    int number = descriptor.acquire();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment entry = arena.allocate(Abi.POLLFD_BYTES, 8);
      entry.set(JAVA_INT, 0, number);
      entry.set(JAVA_SHORT, Abi.POLLFD_EVENTS, (short) events);
      LinuxCalls.check(LinuxCalls.poll(entry, 1, millis), "poll");
      return entry.get(JAVA_SHORT, Abi.POLLFD_REVENTS);
    } finally {
      descriptor.release();
    }
  }

  /**
   * Waits for one of the events, or for a hang-up or an error.
   *
   * @return the events, or 0 when the time is over
   * @throws InterruptedIOException if the thread was interrupted; it stays so
   * @throws IOException if the descriptor was closed
   */
  static int await(Descriptor descriptor, int events, Duration timeout) throws IOException {
    long end = System.nanoTime() + timeout.toNanos();
    while (true) {
      if (Thread.currentThread().isInterrupted()) {
        throw new InterruptedIOException("interrupted while waiting");
      }
      long left = (end - System.nanoTime()) / 1_000_000;
      int found = await(descriptor, events, Math.clamp(left, 0, STEP_MILLIS));
      if (found != 0 || left <= 0) {
        return found;
      }
    }
  }
}
