package io.pageferry.source;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * Holds all data channels of a migration together below one rate.
 *
 * <p>Each frame books a slot on a common time line of {@code bytes / rate} seconds and waits until
 * its slot begins. A sender that comes late (it was not scheduled, or had nothing to send) may
 * catch up, because otherwise every delay of the scheduler would be lost for good; but only by so
 * much that with the frame under way no second has more than 1.8 per cent too many. More would let
 * an idle second be followed by one at twice the rate.
 *
 * <p>Threading: any number of senders; the time line is guarded by this object's lock, the waiting
 * happens outside it.
 */
final class Pacer {
  /** What a cap may be exceeded by, within the second over which it is judged. */
  private static final long EXCESS_NANOS = 18_000_000;

  /** A long frame of pages. */
  private static final long FRAME_BYTES = 260 << 10;

  /** What may be caught up on a line so slow that one frame is more than the excess. */
  static final long BURST_NANOS = 5_000_000;

  /** A cap at which every codec has time to spare, in bytes a second. */
  private static final long SLOW = 15_000_000;

  private final long bytesPerSecond;
  private final long burstNanos;
  private long nextSlot;

  /**
   * @param bytesPerSecond the cap on all channels together; 0 for none
   */
  Pacer(long bytesPerSecond) {
    if (bytesPerSecond < 0) {
      throw new IllegalArgumentException("negative rate: " + bytesPerSecond);
    }
    this.bytesPerSecond = bytesPerSecond;
    long frame = bytesPerSecond == 0 ? 0 : nanos(FRAME_BYTES);
    this.burstNanos = Math.max(BURST_NANOS, EXCESS_NANOS - frame);
    this.nextSlot = System.nanoTime();
  }

  /** Whether a link with that cap, or none if it is 0, carries less than any codec packs. */
  static boolean isSlow(long bytesPerSecond) {
    return bytesPerSecond > 0 && bytesPerSecond <= SLOW;
  }

  /** Bytes a second, 0 for no cap. */
  long bytesPerSecond() {
    return bytesPerSecond;
  }

  /**
   * Returns when {@code bytes} may be sent.
   *
   * @throws InterruptedException when the migration is cancelled meanwhile; the slot stays booked
   */
  void await(int bytes) throws InterruptedException {
    if (bytesPerSecond == 0) {
      return;
    }
    long slot = book(System.nanoTime(), bytes);
    for (long wait = slot - System.nanoTime(); wait > 0; wait = slot - System.nanoTime()) {
      LockSupport.parkNanos(this, wait);
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
    }
  }

  /** Counts bytes that do not wait for their turn: what comes after them waits longer. */
  void charge(int bytes) {
    if (bytesPerSecond > 0) {
      book(System.nanoTime(), bytes);
    }
  }

  /** Books the next slot and returns when it begins, on the clock of {@code now}. */
  synchronized long book(long now, int bytes) {
    if (nextSlot - (now - burstNanos) < 0) {
      nextSlot = now - burstNanos;
    }
    long slot = nextSlot;
    nextSlot += nanos(bytes);
    return slot;
  }

  private long nanos(long bytes) {
    return Math.multiplyExact(bytes, TimeUnit.SECONDS.toNanos(1)) / bytesPerSecond;
  }
}
