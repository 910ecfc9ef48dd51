package io.pageferry.protocol.channel;

import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;

/**
 * Logs why connections came to nothing, but not more than a few lines at a time: whoever can
 * connect could else fill the disk.
 */
final class RefusalLog {
  private static final int LINES = 10;
  private static final long PERIOD_NANOS = TimeUnit.SECONDS.toNanos(10);

  private final Logger log;
  // Guarded by this.
  private long periodStart = System.nanoTime();
  private int lines;
  private int dropped;

  RefusalLog(Logger log) {
    this.log = log;
  }

  synchronized void log(String sentence) {
    long now = System.nanoTime();
    if (now - periodStart >= PERIOD_NANOS) {
      if (dropped > 0) {
        log.warn("and {} further connections came to nothing", dropped);
      }
      periodStart = now;
      lines = 0;
      dropped = 0;
    }
    if (lines < LINES) {
      lines++;
      log.warn("{}", sentence);
    } else {
      dropped++;
    }
  }
}
