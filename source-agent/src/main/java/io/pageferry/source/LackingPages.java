package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.ledger.LedgerEntry;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.OwnershipLedger;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;

/**
 * Keeps a guest here that came by post-copy and does not have all of its memory yet. What it lacks
 * are holes in its image, which this agent would take for zeros. As long as the target agent of
 * this host is at work the locked image says no; this is for when that was killed.
 */
final class LackingPages {
  private LackingPages() {}

  /**
   * @param stateDirectory of both sides of this host
   * @param images the guest's memory images
   * @throws CommandFailure REFUSED if such a guest has that name or one of these images
   */
  static void refuse(Path stateDirectory, String guest, List<String> images)
      throws LedgerException, CommandFailure {
    for (LedgerEntry entry : OwnershipLedger.list(stateDirectory, LedgerSide.TARGET).entries()) {
      boolean same =
          entry.fields().guest().equals(guest)
              || !Collections.disjoint(entry.fields().images(), images);
      if (entry.lacksPages() && same) {
        throw new CommandFailure(
            ExitCode.REFUSED,
            "guest %s came here by post-copy and pages of it are still on '%s'; nothing was changed:"
                    .formatted(guest, entry.fields().peer())
                + " start 'pageferry target serve' here, then run 'pageferry source recover %s' there"
                    .formatted(entry.migration()));
      }
    }
  }
}
