package io.pageferry.target.reception;

import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.control.GuestNotToldException;
import io.pageferry.guest.control.GuestTicks;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.target.MigrationAborted;
import java.time.Duration;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Brings the landed guest to life: its device state, then its start, each measured. Driver thread
 * only.
 */
final class Activation {
  private static final Logger LOG = LoggerFactory.getLogger(Activation.class);

  /** The guest runs meanwhile; only the source's report waits. */
  private static final Duration FIRST_TICK = Duration.ofMillis(100);

  private final GuestControl control;
  private long loadMicros;
  private long startMicros;
  private boolean mayRun;

  Activation(GuestControl control) {
    this.control = control;
  }

  /** The guest's device state is on its way, sooner or later. */
  void expect() throws MigrationAborted {
    try {
      control.expectDeviceState();
    } catch (GuestControlException e) {
      throw new MigrationAborted(
          AbortReason.GUEST_CONTROL_FAILED,
          "the guest on the target cannot take its device state: " + e.getMessage(),
          e);
    }
  }

  /** Loads the device state into the waiting guest; it is ready to run afterwards, and does not. */
  void load(byte[] deviceState) throws MigrationAborted {
    long began = System.nanoTime();
    try {
      control.loadDeviceState(deviceState);
    } catch (GuestControlException e) {
      throw new MigrationAborted(
          AbortReason.DEVICE_STATE_REJECTED,
          "the guest on the target did not take the device state: " + e.getMessage(),
          e);
    }
    loadMicros = micros(began);
  }

  /**
   * Lets the guest run. To be called only when it is on disk that the guest is this host's.
   *
   * @throws GuestControlException when it does not run; it is still this host's
   */
  void start() throws GuestControlException {
    long began = System.nanoTime();
    try {
      resume();
    } catch (GuestControlException e) {
      // A lost reply says nothing about the guest: what it does now counts.
      LOG.warn("starting the guest: {}", e.getMessage());
      if (!control.status().running()) {
        resume();
      }
    }
    startMicros = micros(began);
  }

  private void resume() throws GuestControlException {
    boolean before = mayRun;
    mayRun = true;
    try {
      control.resume();
    } catch (GuestNotToldException e) {
      mayRun = before;
      throw e;
    }
  }

  /** Whether the guest may have run: it was told to, or nobody knows whether that reached it. */
  boolean mayRun() {
    return mayRun;
  }

  /** Tells the network where the guest is. */
  void announce() {
    control.announce();
  }

  long loadMicros() {
    return loadMicros;
  }

  long startMicros() {
    return startMicros;
  }

  /** How long the guest stood still by its own clock; 0 when it does not say so soon. */
  long guestDowntimeMicros() {
    long deadline = System.nanoTime() + FIRST_TICK.toNanos();
    try {
      while (true) {
        Optional<GuestTicks> ticks = control.ticks();
        if (ticks.isEmpty() || ticks.get().handoverGapMicros() > 0) {
          return ticks.map(GuestTicks::handoverGapMicros).orElse(0L);
        }
        if (System.nanoTime() - deadline > 0) {
          return 0;
        }
        Thread.sleep(1);
      }
    } catch (GuestControlException e) {
      LOG.debug("asking the guest for its ticks", e);
      return 0;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return 0;
    }
  }

  private static long micros(long began) {
    return (System.nanoTime() - began) / 1_000;
  }
}
