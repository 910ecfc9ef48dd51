package io.pageferry.source;

import org.jspecify.annotations.Nullable;

/**
 * The user's wish to call the migration off (Ctrl-C, {@code source cancel}), delivered by
 * interrupting the driver thread, until the hand-over: from then on only the ledgers decide.
 *
 * <p>In post-copy the guest runs on the target and its missing pages are only here: whoever asks
 * then is refused, and a signal does not end this process before they are there. While the link is
 * down nothing can be served, and the attempts to restore it may be called off.
 *
 * <p>Threading: requested by any thread; all state is guarded by this object's lock, so a request
 * comes either wholly before the hand-over or is refused.
 */
final class Cancellation {
  /** How every refusal begins. */
  static final String TOO_LATE = "too late to cancel";

  private @Nullable Thread driver;
  private @Nullable String wish;
  private boolean tooLate;
  private boolean serving;
  private boolean attempting;
  private String why = "the guest is being handed over";

  /** Names the thread to interrupt; a wish that came earlier interrupts it at once. */
  synchronized void drivenBy(Thread thread) {
    driver = thread;
    if (wish != null) {
      thread.interrupt();
    }
  }

  /**
   * Asks for the migration to be called off.
   *
   * @param by who wants it, as the report says it
   * @return false when the guest is being handed over already
   */
  synchronized boolean request(String by) {
    if (tooLate) {
      return false;
    }
    if (wish == null) {
      wish = by;
    }
    if (driver != null) {
      driver.interrupt();
    }
    return true;
  }

  /** Why a request is refused, as a sentence without its capital and full stop. */
  synchronized String refusal() {
    return serving
        ? TOO_LATE
            + ": the guest runs on the target and its missing pages are only here, so"
            + " this agent goes on until they are there"
        : TOO_LATE + ": " + why;
  }

  /** What a request that is granted does, as the beginning of a sentence about the migration. */
  synchronized String effect() {
    return attempting
        ? "Ending the attempts to reach the target again for migration"
        : "Cancelling migration";
  }

  /** Whether the guest needs this process. */
  synchronized boolean serving() {
    return serving;
  }

  /**
   * From now on the guest needs this process: requests are refused.
   *
   * @throws InterruptedException if one came while they were not
   */
  synchronized void beginServing() throws InterruptedException {
    serving = true;
    attempting = false;
    passPointOfNoReturn();
  }

  /** The link is down: a request ends the attempts of this thread to restore it. */
  synchronized void pauseServing(Thread thread) {
    driver = thread;
    serving = false;
    attempting = true;
    tooLate = false;
  }

  /** Who called it off, or null. */
  synchronized @Nullable String wish() {
    return wish;
  }

  /** Closes the door: after this returns no request is accepted and none is pending. */
  synchronized void passPointOfNoReturn() throws InterruptedException {
    if (wish != null) {
      throw new InterruptedException();
    }
    tooLate = true;
  }

  /**
   * No request interrupts the driver any more: it is cleaning up.
   *
   * @param why what a request is told then, as a clause
   */
  synchronized void ignoreFromNowOn(String why) {
    driver = null;
    tooLate = true;
    this.why = why;
    // A wish that came a moment ago must not break what the clean-up does next.
    Thread.interrupted();
  }
}
