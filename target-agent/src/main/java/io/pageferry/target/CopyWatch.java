package io.pageferry.target;

import io.pageferry.agent.copies.GuestCopies;
import java.io.IOException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Removes the copies that have had their time, from the start on, on a thread of its own. */
final class CopyWatch implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(CopyWatch.class);
  private static final long EVERY_SECONDS = 10;

  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().name("copy-watch").daemon().factory());

  private CopyWatch() {}

  static CopyWatch over(GuestCopies copies) {
    CopyWatch watch = new CopyWatch();
    ScheduledFuture<?> _ =
        watch.timer.scheduleWithFixedDelay(() -> look(copies), 0, EVERY_SECONDS, TimeUnit.SECONDS);
    return watch;
  }

  private static void look(GuestCopies copies) {
    try {
      copies.removeOver().forEach(copy -> LOG.info("removed: {}", copy.sentence()));
    } catch (IOException | RuntimeException e) {
      LOG.warn("the copies of guests cannot be looked after: {}", e.toString());
    }
  }

  @Override
  public void close() {
    timer.shutdownNow();
  }
}
