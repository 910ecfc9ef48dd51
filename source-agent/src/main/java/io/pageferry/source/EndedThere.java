package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.ledger.OwnershipLedger;
import org.jspecify.annotations.Nullable;

/**
 * What is said, and written down, of a guest that ended on the target before it had all of its
 * memory. Whether it ran there decides what the copy here is: an older one of a guest that has run
 * on, or maybe the only guest there is.
 */
final class EndedThere {
  private EndedThere() {}

  /**
   * It ran, so nothing is left to do: closes the ledger.
   *
   * @param target as the user is to read it
   * @return what the command ends with
   */
  static CommandFailure afterItRan(
      OwnershipLedger ledger, String target, GuestEndedThereException cause) {
    LedgerEnd.endedThere(ledger);
    return new CommandFailure(
        ExitCode.FAILED,
        "guest %s ran on %s and ended there before it had all of its memory (%s); the copy here,"
                .formatted(ledger.fields().guest(), target, cause.getMessage())
            + " as it was when it left, was kept and stays paused",
        cause);
  }

  /** The beginning of a sentence: nobody can say whether it ran. */
  static String unseen(String guest, String target, @Nullable Exception cause) {
    return "guest %s has ended on %s and is not known to have run there%s"
        .formatted(guest, target, cause == null ? "" : " (" + cause.getMessage() + ")");
  }

  /**
   * The end of a sentence about a guest whose copy here nobody but its user may let run.
   *
   * @param command that recovers the migration
   */
  static String keptFor(String command) {
    return "; the copy here, as it was when it left, was kept and stays paused; '%s --force' lets it"
            .formatted(command)
        + " run on";
  }
}
