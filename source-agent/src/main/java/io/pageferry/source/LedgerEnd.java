package io.pageferry.source;

import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import org.slf4j.Logger;

/**
 * The last words in a migration's ledger. What they say has happened whether they can be written or
 * not, so nothing here fails: it is warned of, and a recovery looks once more.
 *
 * <p>Threading: the driver thread.
 */
final class LedgerEnd {
  private static final Logger STORY = LogOutput.story("source");

  private LedgerEnd() {}

  /** The guest stays here. */
  static void failed(OwnershipLedger ledger) {
    close(ledger, LedgerState.FAILED);
  }

  /**
   * The guest ended on the target; nothing is left to do, and the copy here may be the only one.
   */
  static void endedThere(OwnershipLedger ledger) {
    close(ledger, LedgerState.COMPLETED);
    released(ledger);
  }

  /** The paused copy here was ended, or is meant to stay. */
  static void released(OwnershipLedger ledger) {
    try {
      ledger.update(ledger.fields().with(LedgerFields.RELEASED, "true"));
    } catch (LedgerException e) {
      warn(e);
    }
  }

  private static void close(OwnershipLedger ledger, LedgerState last) {
    try {
      ledger.record(last);
    } catch (LedgerException e) {
      warn(e);
    }
  }

  private static void warn(LedgerException e) {
    STORY.warn("The end of this migration could not be written down: {}.", e.getMessage());
  }
}
