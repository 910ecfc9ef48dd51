package io.pageferry.target.reception;

import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.control.GuestTicks;
import io.pageferry.target.incoming.IncomingGuest;
import java.time.Duration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How much a guest gets done while its pages are missing, if it is one that says so: the demo
 * guest. Driver thread only.
 */
final class GuestPace {
  private static final Logger LOG = LoggerFactory.getLogger(GuestPace.class);

  /** Nobody waits for long to know this. */
  private static final Duration LIMIT = Duration.ofMillis(500);

  private final IncomingGuest guest;
  private long beganAt;
  private long operationsBefore = -1;
  private long milliOpsPerSecond;

  GuestPace(IncomingGuest guest) {
    this.guest = guest;
  }

  /** On the line to the guest that there is. */
  void begin() {
    beganAt = System.nanoTime();
    try {
      operationsBefore = operations(guest.control());
    } catch (GuestControlException e) {
      LOG.debug("asking the guest for its operations", e);
    }
  }

  /** On a line of its own, if the guest answers soon. */
  void end() {
    if (operationsBefore < 0) {
      return;
    }
    try {
      long operations = operations(guest.reach(LIMIT));
      double seconds = Math.max(1, System.nanoTime() - beganAt) / 1e9;
      if (operations >= operationsBefore) {
        milliOpsPerSecond = Math.round((operations - operationsBefore) * 1e3 / seconds);
      }
    } catch (GuestControlException e) {
      LOG.debug("asking the guest for its operations", e);
    } finally {
      guest.hangUp();
    }
  }

  /** In thousandths of its operations a second; 0 if that is not known. */
  long milliOpsPerSecond() {
    return milliOpsPerSecond;
  }

  /** -1 if the guest does not say. */
  private static long operations(GuestControl control) throws GuestControlException {
    return control.ticks().map(GuestTicks::operations).orElse(-1L);
  }
}
