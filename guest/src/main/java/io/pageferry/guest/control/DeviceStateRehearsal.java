package io.pageferry.guest.control;

import java.time.Duration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends device states to this process itself, so that the way of one is loaded and compiled before
 * the first guest stands still for it.
 */
public final class DeviceStateRehearsal {
  private static final Logger LOG = LoggerFactory.getLogger(DeviceStateRehearsal.class);

  /** Each takes some milliseconds, the first ones more. */
  private static final int TIMES = 10;

  private static final Duration LIMIT = Duration.ofSeconds(5);
  private static boolean done;

  private DeviceStateRehearsal() {}

  /** Has an effect once in the life of this process; some ten milliseconds. Any thread. */
  public static synchronized void run() {
    if (done) {
      return;
    }
    try (DeviceStateExchange exchange = DeviceStateExchange.open()) {
      for (int i = 0; i < TIMES; i++) {
        exchange.rehearse(LIMIT);
      }
      done = true;
    } catch (GuestControlException e) {
      LOG.debug("device states were not rehearsed", e);
    }
  }
}
