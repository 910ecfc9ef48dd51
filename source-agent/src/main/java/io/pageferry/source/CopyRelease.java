package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.control.GuestPlace;
import io.pageferry.guest.control.GuestStatus;
import io.pageferry.guest.description.Afterwards;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageException;
import java.io.IOException;
import java.time.Instant;
import java.util.EnumSet;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;

/**
 * Ends the paused copy of a guest that has moved, where the agent that moved it did not get to it.
 * Whatever is at the guest's place now may be something else, and then is left alone.
 *
 * <p>Threading: the driver thread.
 */
final class CopyRelease {
  private static final Logger STORY = LogOutput.story("source");

  private final OrphanedMigration migration;
  private final OwnershipLedger ledger;
  private final CopyLimits copies;

  /**
   * @param copies what is kept here of the guest's memory
   */
  CopyRelease(OrphanedMigration migration, CopyLimits copies) {
    this.migration = migration;
    this.ledger = migration.ledger();
    this.copies = copies;
  }

  /**
   * The guest runs on the target; the paused copy here is of no more use.
   *
   * @return what was done, one sentence
   * @throws CommandFailure FAILED if the copy does not end
   */
  String run() throws CommandFailure {
    GuestDescription description = migration.description();
    DepartedImage.drop(ledger);
    if (description.afterwards() == Afterwards.QUIT && !migration.processEnded()) {
      GuestPlace place = GuestPlace.of(description);
      try {
        if (place.isTaken()) {
          endCopy(place, description);
        }
      } catch (IOException e) {
        throw new CommandFailure(
            ExitCode.FAILED,
            "guest %s runs on %s, but its paused copy here did not end (%s) and keeps its memory"
                    .formatted(migration.guestName(), migration.peer(), e.getMessage())
                + ": try again with '%s'".formatted(migration.command()),
            e);
      }
    }
    LedgerEnd.released(ledger);
    return "Guest %s was taken over by %s and runs there."
        .formatted(migration.guestName(), migration.peer());
  }

  private void endCopy(GuestPlace place, GuestDescription description) throws IOException {
    try (GuestControl control = place.connect()) {
      GuestStatus status = control.status();
      if (status.hasMovedOn() || (status.isPlainlyPaused() && isTheProcessThatWasLeft())) {
        quit(control, description);
      } else {
        // It came back, or another one waits at its place: not the copy that was left behind.
        STORY.warn("The guest on this host is {} and is left alone.", status.name());
      }
    }
  }

  private void quit(GuestControl control, GuestDescription description) throws IOException {
    try (GuestImage image = copies.any() ? openImage(description) : null) {
      if (image == null) {
        control.quit();
      } else {
        DepartedImage.quit(control, ledger, migration.guestName(), image, copies);
      }
    }
  }

  private static @Nullable GuestImage openImage(GuestDescription description) {
    try {
      return GuestImage.openExisting(description);
    } catch (ImageException e) {
      STORY.debug("no copy is kept", e);
      return null;
    }
  }

  /** A guest that does not say that it was saved is known by its process, and by not being back. */
  private boolean isTheProcessThatWasLeft() throws LedgerException {
    LedgerFields.LaunchedProcess process = ledger.fields().launched();
    if (process == null || process.find() == null) {
      return false;
    }
    Instant left =
        OwnershipLedger.read(ledger.stateDirectory(), LedgerSide.SOURCE, ledger.migration())
            .since();
    return !OwnershipLedger.list(ledger.stateDirectory(), LedgerSide.TARGET)
        .tellsOf(
            ledger.migration(),
            ledger.fields(),
            left,
            EnumSet.of(LedgerState.TAKEN_OVER, LedgerState.COMPLETED));
  }
}
