package io.pageferry.target.recovery;

import io.pageferry.agent.ledger.LedgerEntry;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerListing;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.agent.local.ControlSocket;
import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.control.GuestPlace;
import io.pageferry.guest.control.GuestStatus;
import io.pageferry.guest.control.PrivateFolder;
import io.pageferry.guest.control.QmpControl;
import io.pageferry.guest.description.DescriptionException;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.target.incoming.Leftovers;
import io.pageferry.target.incoming.TargetLedger;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.UUID;

/**
 * Settles what agents left that were killed. What was not taken over is abandoned and removed; a
 * guest that was taken over but not started is started, once; everything else is left alone. A
 * ledger that a living agent holds is not touched, and two sweeps at a time do not meet: each holds
 * the ledger while it works on it.
 */
public final class Sweep {
  private static final Duration CONTROL = Duration.ofSeconds(5);

  /** Whatever this host's source side did with a guest: it begins only with one that runs. */
  private static final Set<LedgerState> ANY = Set.copyOf(EnumSet.allOf(LedgerState.class));

  private final Path stateDirectory;

  public Sweep(Path stateDirectory) {
    this.stateDirectory = stateDirectory;
  }

  /**
   * What was found of one migration.
   *
   * @param sentence what it is and what was done
   * @param settled false when the user has to do something
   */
  public record Finding(String sentence, boolean settled) {}

  /** Goes over all ledgers; says nothing of those that need nothing. */
  public List<Finding> run() throws LedgerException {
    PrivateFolder.sweep();
    ControlSocket.sweep(stateDirectory);
    List<Finding> findings = new ArrayList<>();
    LedgerListing listing = OwnershipLedger.list(stateDirectory, LedgerSide.TARGET);
    for (LedgerException unreadable : listing.unreadable()) {
      findings.add(new Finding(String.valueOf(unreadable.getMessage()), false));
    }
    for (LedgerEntry entry : listing.entries()) {
      if (entry.held()) {
        continue;
      }
      if (entry.fields().isSet(TargetLedger.FETCHED)) {
        // Its agent may have ended before it removed what it needed no more.
        Leftovers.removeMissingPages(entry.fields());
      }
      if (needsWork(entry.state(), entry.fields())) {
        sweep(entry.migration(), findings);
      }
    }
    return findings;
  }

  private static boolean needsWork(LedgerState state, LedgerFields fields) {
    return switch (state) {
      case RECEIVING, PREPARED -> true;
      case ABANDONED -> !isSet(fields, TargetLedger.CLEANED);
      // A guest whose pages are missing is neither to be started nor to be ended here.
      case TAKEN_OVER -> !isSet(fields, TargetLedger.STARTED) && !Unfinished.is(state, fields);
      case COMPLETED, PLANNED, STREAMING, PAUSED, HANDED_OVER, SERVING, RECLAIMED, FAILED -> false;
    };
  }

  private void sweep(UUID migration, List<Finding> findings) {
    try (OwnershipLedger ledger =
        OwnershipLedger.open(stateDirectory, LedgerSide.TARGET, migration)) {
      // Looked at again now that it is ours: another sweep may have been faster.
      if (!needsWork(ledger.current(), ledger.fields())) {
        return;
      }
      findings.add(
          ledger.current() == LedgerState.TAKEN_OVER ? startOnce(ledger) : abandon(ledger));
    } catch (LedgerException e) {
      if (e.problem() != LedgerException.Problem.HELD) {
        findings.add(new Finding(String.valueOf(e.getMessage()), false));
      }
    }
  }

  /** Nothing of it will run here: written first, then removed. */
  static Finding abandon(OwnershipLedger ledger) throws LedgerException {
    if (ledger.current() != LedgerState.ABANDONED) {
      ledger.record(LedgerState.ABANDONED);
    }
    boolean clean =
        Leftovers.remove(
            ledger.migration(),
            ledger.fields(),
            OwnershipLedger.list(ledger.stateDirectory(), LedgerSide.TARGET).entries());
    String what =
        "migration "
            + ledger.migration()
            + " of guest '"
            + ledger.fields().guest()
            + "' is abandoned";
    if (!clean) {
      return new Finding(
          what + ", but its image could not be removed: see above, then sweep again", false);
    }
    ledger.update(ledger.fields().with(TargetLedger.CLEANED, "true"));
    return new Finding(what + ", and nothing of it is left here", true);
  }

  /**
   * The agent was killed between "taken over" and the guest's start. Taken over implies prepared,
   * and prepared that the device state is loaded, so what stands there paused is the whole guest.
   */
  private static Finding startOnce(OwnershipLedger ledger) throws LedgerException {
    LedgerFields fields = ledger.fields();
    String guest = "guest '" + fields.guest() + "' of migration " + ledger.migration();
    if (hasRunSince(ledger)) {
      ledger.update(fields.with(TargetLedger.STARTED, "true"));
      return new Finding(guest + " has run here since and is left alone", true);
    }
    try (GuestControl control = reach(fields)) {
      GuestStatus status = control.status();
      if (status.awaitsDeviceState()) {
        return new Finding(
            guest
                + " belongs to this host, but the process that answers is not it: it waits for a"
                + " migration",
            false);
      }
      if (status.hasMovedOn()) {
        // It ran here and has moved on since; started again it would run in two places.
        ledger.update(fields.with(TargetLedger.STARTED, "true"));
        return new Finding(guest + " has been migrated away since and is left alone", true);
      }
      if (!status.running()) {
        control.resume();
      }
      ledger.update(fields.with(TargetLedger.STARTED, "true"));
      control.announce();
      return new Finding(
          guest
              + (status.running() ? " runs here already" : " was taken over and has been started"),
          true);
    } catch (GuestControlException e) {
      return new Finding(
          guest
              + " belongs to this host and does not run: "
              + e.getMessage()
              + "; if its process has ended, 'pageferry source recover "
              + ledger.migration()
              + " --force' where it came from lets the copy there run on",
          false);
    }
  }

  /**
   * Whether a guest that is controlled by commands was sent from this host after it was taken over,
   * or is being sent. It does not say so itself as others do, and started again it would run in two
   * places.
   */
  private static boolean hasRunSince(OwnershipLedger ledger) throws LedgerException {
    if (ledger.fields().more().containsKey(TargetLedger.QMP)) {
      return false;
    }
    LedgerEntry own =
        OwnershipLedger.read(ledger.stateDirectory(), LedgerSide.TARGET, ledger.migration());
    return OwnershipLedger.list(ledger.stateDirectory(), LedgerSide.SOURCE)
        .tellsOf(own.migration(), own.fields(), own.since(), ANY);
  }

  /** By the socket that was written down, or by the commands of its description. */
  private static GuestControl reach(LedgerFields fields) throws GuestControlException {
    String qmp = fields.more().get(TargetLedger.QMP);
    if (qmp != null) {
      return QmpControl.connect(Path.of(qmp), CONTROL);
    }
    String description = fields.description();
    if (description == null) {
      throw new GuestControlException("its ledger does not say how to reach it");
    }
    try {
      return GuestPlace.of(GuestDescription.load(Path.of(description))).connect();
    } catch (DescriptionException e) {
      throw new GuestControlException(
          "its description cannot be read: %s".formatted(e.getMessage()), e);
    }
  }

  private static boolean isSet(LedgerFields fields, String field) {
    return Boolean.parseBoolean(fields.more().get(field));
  }
}
