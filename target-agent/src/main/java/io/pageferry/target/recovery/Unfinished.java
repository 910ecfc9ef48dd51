package io.pageferry.target.recovery;

import io.pageferry.agent.ledger.LedgerEntry;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.target.incoming.TargetLedger;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.slf4j.Logger;

/**
 * Guests that were taken over before all of their pages were here, and whose agent is gone. They
 * run, or wait for a page that only another agent can bring.
 */
public final class Unfinished {
  private final Path stateDirectory;

  public Unfinished(Path stateDirectory) {
    this.stateDirectory = stateDirectory;
  }

  /** Whether a ledger tells of such a guest. */
  public static boolean is(LedgerState state, LedgerFields fields) {
    return state == LedgerState.TAKEN_OVER
        && fields.isSet(TargetLedger.POSTCOPY)
        && !fields.isSet(TargetLedger.FETCHED);
  }

  /**
   * Takes hold of the ledgers of all of them.
   *
   * @param story is told of those that cannot be read
   * @return each the caller's to close
   */
  public List<OwnershipLedger> take(Logger story) {
    List<OwnershipLedger> taken = new ArrayList<>();
    try {
      for (LedgerEntry entry : entries()) {
        take(entry, taken, story);
      }
    } catch (LedgerException e) {
      story.warn("{}", e.getMessage());
    }
    return taken;
  }

  /** One that cannot be had keeps no other guest waiting. */
  private void take(LedgerEntry entry, List<OwnershipLedger> taken, Logger story) {
    try {
      take(entry.migration()).ifPresent(taken::add);
    } catch (LedgerException e) {
      story.warn("{}", e.getMessage());
    }
  }

  /**
   * Takes hold of one of them.
   *
   * @return the caller's to close; empty if it is none any more
   * @throws LedgerException HELD if an agent looks after it, or another reason why it cannot be had
   */
  public Optional<OwnershipLedger> take(UUID migration) throws LedgerException {
    OwnershipLedger ledger = OwnershipLedger.open(stateDirectory, LedgerSide.TARGET, migration);
    if (is(ledger.current(), ledger.fields())) {
      return Optional.of(ledger);
    }
    ledger.close();
    return Optional.empty();
  }

  /** What there is to say about each. */
  public List<Sweep.Finding> findings() throws LedgerException {
    return entries().stream()
        .map(
            entry ->
                new Sweep.Finding(
                    "guest '"
                        + entry.fields().guest()
                        + "' of migration "
                        + entry.migration()
                        + " belongs to this host, and pages of it are still on '"
                        + entry.fields().peer()
                        + "': it is left as it is; start 'pageferry target serve' here, then run"
                        + " 'pageferry source recover "
                        + entry.migration()
                        + "' there",
                    false))
        .toList();
  }

  private List<LedgerEntry> entries() throws LedgerException {
    return OwnershipLedger.list(stateDirectory, LedgerSide.TARGET).entries().stream()
        .filter(entry -> !entry.held() && is(entry.state(), entry.fields()))
        .toList();
  }
}
