package io.pageferry.target.incoming;

import io.pageferry.agent.process.ThreadEnd;
import io.pageferry.guest.image.GuestImage;
import java.io.IOException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes the memory of a new image, and has the kernel provide it, while the guest's process comes
 * up, which takes as long. What is not provided by then is left to the pages that land.
 *
 * <p>One thread of its own, which is gone when {@link #await} or {@link #close} returns: no zero
 * may be written once pages come.
 */
final class ReservedMemory implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(ReservedMemory.class);

  /** Takes what an image needs. */
  interface Reservation {
    void reserve(GuestImage image) throws IOException;
  }

  private final Thread thread;
  private volatile @Nullable IOException failure;
  private volatile boolean enough;

  /** Begins. */
  ReservedMemory(GuestImage image, Reservation reservation) {
    thread =
        Thread.ofPlatform()
            .name("reserved-memory")
            .daemon()
            .start(() -> takeAndProvide(image, reservation));
  }

  private void takeAndProvide(GuestImage image, Reservation reservation) {
    try {
      reservation.reserve(image);
    } catch (IOException e) {
      failure = e;
      return;
    } catch (RuntimeException | Error e) {
      failure = new IOException(e);
      return;
    }
    try {
      image.warm(() -> enough);
    } catch (IOException e) {
      // It is booked; the pages that land will tell if it cannot be had.
      LOG.debug("warming reserved memory", e);
    }
  }

  /** Whether {@link #await} will throw. Any thread. */
  boolean hasFailed() {
    return failure != null;
  }

  /**
   * Returns when the memory is taken; provides no more of it.
   *
   * @throws IOException if it could not be taken, an ImageException where it is known why
   * @throws InterruptedException if this thread is interrupted meanwhile; it goes on
   */
  void await() throws IOException, InterruptedException {
    enough = true;
    thread.join();
    IOException failed = failure;
    if (failed != null) {
      throw failed;
    }
  }

  /** Ends it, whether the memory is taken or not. */
  @Override
  public void close() {
    enough = true;
    thread.interrupt();
    ThreadEnd.await(thread);
  }
}
