package io.pageferry.target.reception;

import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.control.GuestTicks;
import io.pageferry.target.incoming.IncomingProcess;
import java.time.Duration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How much a guest gets done while its pages are missing and right after, if it is one that says
 * so: the demo guest. Driver thread only.
 */
final class GuestPace {
  private static final Logger LOG = LoggerFactory.getLogger(GuestPace.class);

  /** Nobody waits for long to know this; the guest itself waits for nothing here. */
  private static final Duration LIMIT = Duration.ofSeconds(3);

  /** How long it is watched when it has everything: the source waits for it. */
  private static final Duration AFTERWARDS = Duration.ofMillis(250);

  /** The same for one that has done nothing meanwhile, of which no rate can be said. */
  private static final Duration AT_MOST = Duration.ofSeconds(2);

  private final IncomingProcess process;

  /** What it had done when it was asked last, and when that was; -1 for one that does not say. */
  private long operations = -1;

  private long askedAt;

  private boolean arrived;
  private boolean watching;
  private long nextLook;
  private long duringMilliOps;
  private long afterMilliOps;

  GuestPace(IncomingProcess process) {
    this.process = process;
  }

  /** It runs, and pages are missing. On the line to the guest that there is. */
  void begin() {
    try {
      note(operations(process.control()));
    } catch (GuestControlException e) {
      LOG.debug("asking the guest for its operations", e);
    }
  }

  /** Nothing is missing any more; of no effect again. On a line of its own. */
  void arrive() {
    if (arrived) {
      return;
    }
    arrived = true;
    if (operations >= 0) {
      long now = ask();
      duringMilliOps = milliOps(now);
      note(now);
      watching = now >= 0;
      nextLook = askedAt + AFTERWARDS.toNanos();
    }
  }

  /**
   * Watches it for a while when it {@link #arrive arrived}. On a line of its own.
   *
   * @return how long to wait until this is to be called again; zero if that is not needed
   */
  Duration watch() {
    long left = nextLook - System.nanoTime();
    if (watching && left <= 0) {
      long now = ask();
      afterMilliOps = milliOps(now);
      nextLook += AFTERWARDS.toNanos();
      left = AFTERWARDS.toNanos();
      watching = now == operations && System.nanoTime() - askedAt < AT_MOST.toNanos();
    }
    return watching ? Duration.ofNanos(left) : Duration.ZERO;
  }

  /** In thousandths of its operations a second while pages were missing; 0 if not known. */
  long duringMilliOps() {
    return duringMilliOps;
  }

  /** The same when it had all of them. */
  long afterMilliOps() {
    return afterMilliOps;
  }

  /** Since it was asked last. */
  private long milliOps(long now) {
    long nanos = Math.max(1, System.nanoTime() - askedAt);
    return now < operations ? 0 : Math.round((now - operations) * 1e12 / nanos);
  }

  private void note(long now) {
    operations = now;
    askedAt = System.nanoTime();
  }

  /** -1 if the guest does not answer soon. */
  private long ask() {
    try {
      return operations(process.reach(LIMIT));
    } catch (GuestControlException e) {
      LOG.debug("asking the guest for its operations", e);
      return -1;
    } finally {
      process.hangUp();
    }
  }

  /** -1 if the guest does not say. */
  private static long operations(GuestControl control) throws GuestControlException {
    return control.ticks().map(GuestTicks::operations).orElse(-1L);
  }
}
