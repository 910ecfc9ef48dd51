package io.pageferry.target.incoming;

import io.pageferry.agent.process.ThreadEnd;
import io.pageferry.guest.image.GuestImage;
import java.io.IOException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Has the reserved memory provided while the guest's process comes up, which takes seconds in which
 * this host would otherwise wait. Whatever is not done by then is left to the pages that land.
 *
 * <p>One thread of its own, which is gone when {@link #close} returns: no zero may be written once
 * pages come.
 */
final class ReservedMemory implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(ReservedMemory.class);

  private final @Nullable Thread thread;
  private volatile boolean over;

  private ReservedMemory(@Nullable GuestImage image) {
    thread =
        image == null
            ? null
            : Thread.ofPlatform().name("reserved-memory").daemon().start(() -> provide(image));
  }

  /**
   * Begins.
   *
   * @param image null where nothing is reserved, or pages have to stay missing
   */
  static ReservedMemory warm(@Nullable GuestImage image) {
    return new ReservedMemory(image);
  }

  private void provide(GuestImage image) {
    try {
      image.warm(() -> over);
    } catch (IOException e) {
      // It is booked; the pages that land will tell if it cannot be had.
      LOG.debug("warming reserved memory", e);
    }
  }

  @Override
  public void close() {
    over = true;
    if (thread != null) {
      ThreadEnd.await(thread);
    }
  }
}
