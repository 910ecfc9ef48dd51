package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.ledger.LedgerEntry;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.agent.process.MigrationProcesses;
import io.pageferry.guest.control.GuestControlException;
import java.nio.file.Path;

/**
 * What earlier migrations of a guest have left in the ledgers of this host. A guest that runs here
 * and is about to be moved settles most of it; what it does not settle stands in the way.
 *
 * <p>Threading: the driver thread.
 */
final class EarlierMigrations {
  private final Path stateDirectory;
  private final SourceGuest guest;
  private final String described;

  /**
   * @param guest runs
   * @param description the file that describes it
   */
  EarlierMigrations(Path stateDirectory, SourceGuest guest, Path description) {
    this.stateDirectory = stateDirectory;
    this.guest = guest;
    this.described = description.toAbsolutePath().toString();
  }

  /**
   * Ends what killed agents have left open of this guest. It runs here, so there is nothing to
   * resume; a recovery that came upon "paused" after this migration would start it a second time.
   *
   * @throws CommandFailure REFUSED if an earlier one is at work, or may have moved the guest
   */
  void end() throws LedgerException, CommandFailure {
    for (LedgerEntry entry : OwnershipLedger.list(stateDirectory, LedgerSide.SOURCE).entries()) {
      if (isCopyLeftBehind(entry)) {
        endCopy(entry);
      }
      if (entry.state().isFinal()
          || !entry.fields().guest().equals(guest.name())
          || !entry.fields().images().equals(guest.imagePaths())) {
        continue;
      }
      if (entry.held()
          || entry.state() == LedgerState.HANDED_OVER
          || entry.state() == LedgerState.SERVING
          || (entry.state() == LedgerState.PAUSED && !runsStill(entry))) {
        throw new CommandFailure(
            ExitCode.REFUSED,
            "an earlier migration of guest %s is not settled; nothing was changed: run"
                    .formatted(guest.name())
                + " '%s' first".formatted(RecoverCommand.of(entry.migration(), stateDirectory)));
      }
      try (OwnershipLedger earlier = open(entry)) {
        if (!earlier.current().isFinal()) {
          earlier.record(LedgerState.FAILED);
        }
      }
    }
  }

  /** A command of the agent that was killed may have been about to pause the guest. */
  private boolean runsStill(LedgerEntry entry) {
    MigrationProcesses.settleSource(entry.migration(), guest.description().control().timeout());
    try {
      return guest.control().status().running();
    } catch (GuestControlException e) {
      return false;
    }
  }

  /** Whether an earlier migration of this guest completed and its copy here was not ended. */
  private boolean isCopyLeftBehind(LedgerEntry entry) {
    return entry.state() == LedgerState.COMPLETED
        && !entry.settled()
        && !entry.held()
        && (entry.fields().guest().equals(guest.name())
            || described.equals(entry.fields().description()));
  }

  /**
   * A running guest is at its place now, so that copy is gone. A recovery that still looked for it
   * would find this guest, paused by this migration, and end it.
   */
  private void endCopy(LedgerEntry entry) throws LedgerException {
    try (OwnershipLedger earlier = open(entry)) {
      earlier.update(earlier.fields().with(LedgerFields.RELEASED, "true"));
      DepartedImage.drop(earlier);
    }
  }

  private OwnershipLedger open(LedgerEntry entry) throws LedgerException {
    return OwnershipLedger.open(stateDirectory, LedgerSide.SOURCE, entry.migration());
  }
}
