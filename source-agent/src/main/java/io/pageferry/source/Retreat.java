package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.control.GuestPlace;
import io.pageferry.guest.control.GuestRefusedException;
import io.pageferry.guest.description.GuestDescription;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;

/**
 * Puts the guest back after a failure on this side of the hand-over: nothing follows its writes any
 * more, it runs, and the ledger says so.
 *
 * <p>Threading: the driver thread, after {@link Cancellation#ignoreFromNowOn}: an interrupt in here
 * would close the guest's control in the middle of resuming it.
 */
final class Retreat {
  private static final Logger STORY = LogOutput.story("source");

  /** How long a save that this side gave up on may take to end in the guest. */
  private static final Duration SAVING = Duration.ofSeconds(5);

  /** How long after its connection the rest of an ending process may take to go. */
  private static final Duration ENDING = Duration.ofSeconds(1);

  private static final Duration ASK_AGAIN = Duration.ofMillis(100);

  private Retreat() {}

  /**
   * Ends the migration on this side.
   *
   * @param verdict why there is a retreat
   * @return what the command ends with, the state of the guest included
   */
  static CommandFailure putBack(
      SourceGuest guest, OwnershipLedger ledger, Verdict verdict, Exception cause) {
    boolean gone = guest.gone();
    boolean paused =
        ledger.current() == LedgerState.PAUSED || ledger.current() == LedgerState.RECLAIMED;
    String state;
    if (paused) {
      // Also a guest that seems gone: what is seen is a socket, and it may only have closed that.
      IOException stuck = resume(guest.control(), guest.description());
      if (stuck != null && !gone && !hasEnded(guest)) {
        return new CommandFailure(
            ExitCode.RECOVERABLE,
            "%s; guest %s could not be resumed (%s) and stays paused here: continue with"
                    .formatted(verdict.sentence(), guest.name(), stuck.getMessage())
                + " '%s'".formatted(RecoverCommand.of(ledger.migration(), ledger.stateDirectory())),
            cause);
      }
      state =
          stuck == null
              ? "guest %s runs on here".formatted(guest.name())
              : "the guest's process is gone";
    } else if (gone) {
      state = "the guest's process is gone";
    } else {
      state = state(guest);
    }
    // Not before it runs: letting go of a guest that was attached to may take seconds.
    guest.stopTracking();
    LedgerEnd.failed(ledger);
    return new CommandFailure(verdict.exit(), verdict.sentence() + "; " + state, cause);
  }

  /** A process closes what it has open one after the other when it ends. */
  private static boolean hasEnded(SourceGuest guest) {
    long deadline = System.nanoTime() + ENDING.toNanos();
    while (!guest.gone()) {
      if (System.nanoTime() - deadline > 0) {
        return false;
      }
      LockSupport.parkNanos(ASK_AGAIN.toNanos());
    }
    return true;
  }

  /** What may be said of a guest that was never paused: it may have ended for its own reasons. */
  private static String state(SourceGuest guest) {
    try {
      boolean running =
          ask(guest.control(), guest.description(), control -> control.status().running());
      return "guest %s %s here".formatted(guest.name(), running ? "runs on" : "stays paused");
    } catch (IOException e) {
      return "guest %s does not answer any more (%s)".formatted(guest.name(), e.getMessage());
    }
  }

  /**
   * Lets a paused guest run.
   *
   * @param open a connection to its control, or null
   * @return null when the guest runs
   */
  static @Nullable IOException resume(@Nullable GuestControl open, GuestDescription description) {
    long deadline = System.nanoTime() + SAVING.toNanos();
    while (true) {
      try {
        ask(
            open,
            description,
            control -> {
              if (!control.status().running()) {
                control.resume();
              }
              return true;
            });
        return null;
      } catch (GuestRefusedException e) {
        // It answers and says no, as it does while its state is still being saved.
        if (System.nanoTime() - deadline > 0) {
          return e;
        }
        LockSupport.parkNanos(ASK_AGAIN.toNanos());
      } catch (IOException e) {
        return e;
      }
    }
  }

  private interface Request<T> {
    T send(GuestControl control) throws IOException;
  }

  /**
   * Asks over the open connection, and over a new one if that fails: an interrupted call has closed
   * its socket, and the guest is fine. A guest answers one connection at a time, so the first one
   * has to go before the second.
   */
  private static <T> T ask(
      @Nullable GuestControl open, GuestDescription description, Request<T> request)
      throws IOException {
    if (open != null) {
      try {
        return request.send(open);
      } catch (IOException e) {
        STORY.debug("asking over the first connection failed", e);
        open.close();
      }
    }
    try (GuestControl fresh = GuestPlace.of(description).connect()) {
      return request.send(fresh);
    }
  }
}
