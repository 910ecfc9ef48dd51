package io.pageferry.target.incoming;

import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.description.ControlDescription;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.target.MigrationAborted;
import java.nio.file.Path;
import java.time.Instant;
import java.util.UUID;

/**
 * What the target's ledger of a guest says besides its state: the names of its fields, and what is
 * in them before anything is made of what they name. Apart from {@link IncomingGuest}, because
 * those that read a ledger afterwards, the sweep or another agent, have no such guest.
 *
 * <p>Stateless; any thread.
 */
public final class TargetLedger {
  /**
   * The ledger's field for the guest's control socket: a description may change meanwhile. Not
   * there for a guest that is controlled by commands, which only its description has.
   */
  public static final String QMP = "qmp";

  /** The ledger's field that says whether the image files are ours to remove. */
  static final String IMAGE_MADE_HERE = "imageMadeHere";

  /** The ledger's field for the files that were a copy of an earlier time, and are ours as well. */
  static final String RETURNED = "returned";

  /** The ledger's field for the time at which it was made, ISO 8601. */
  static final String BEGUN = "begun";

  /** The ledger's field that says that nothing is left to remove. */
  public static final String CLEANED = LedgerFields.CLEANED;

  /** The ledger's field that says that the guest was started and needs no second start. */
  public static final String STARTED = "started";

  /** The ledger's field that says that the guest is started before all of its pages are here. */
  public static final String POSTCOPY = LedgerFields.POSTCOPY;

  /** The ledger's field that says that no page of a post-copy is missing any more. */
  public static final String FETCHED = LedgerFields.FETCHED;

  /** The ledger's field for the last round of a post-copy. */
  public static final String ROUND = "round";

  /** The ledger's field for how many data channels a source may open when it comes back. */
  public static final String CHANNELS = "channels";

  /** The ledger's field for the file that says which pages are missing. */
  public static final String MISSING_PAGES = "missingPages";

  /** The ledger's field for the socket where a guest hands its memory over by itself. */
  static final String HANDOVER = "handover";

  /** The ledger's field that says how a guest ended whose pages were still missing. */
  public static final String ENDED = "ended";

  private TargetLedger() {}

  /**
   * Writes down, on disk, that this host is about to receive the guest.
   *
   * @param peer the sending agent's name, by its certificate
   */
  static OwnershipLedger begin(
      Path stateDirectory, UUID migration, GuestDescription description, String peer)
      throws MigrationAborted {
    LedgerFields fields =
        LedgerFields.of(description.name(), peer)
            .withDescription(description.file().toString())
            .withImages(
                description.memory().stream()
                    .flatMap(memory -> memory.file().stream())
                    .map(Path::toString)
                    .toList())
            .with(BEGUN, Instant.now().toString())
            .with(MISSING_PAGES, missingPages(stateDirectory, migration).toString())
            .with(IMAGE_MADE_HERE, Boolean.toString(!description.launch().isEmpty()));
    if (description.control() instanceof ControlDescription.Qmp qmp) {
      fields = fields.with(QMP, qmp.socket().toString());
    }
    if (description.anonymousMemory()) {
      fields = fields.with(HANDOVER, description.handover().orElseThrow().toString());
    }
    try {
      return OwnershipLedger.create(stateDirectory, LedgerSide.TARGET, migration, fields);
    } catch (LedgerException e) {
      if (e.problem() == LedgerException.Problem.EXISTS) {
        throw new MigrationAborted(
            AbortReason.PROTOCOL_VIOLATION,
            "the target's ledger knows this migration already: a migration's number is good once",
            e);
      }
      throw new MigrationAborted(
          AbortReason.IO_ERROR, "the target cannot keep its ledger: " + e.getMessage(), e);
    }
  }

  /** Where it is written which pages are missing. */
  static Path missingPages(OwnershipLedger ledger) {
    return Path.of(
        ledger
            .fields()
            .more()
            .getOrDefault(
                MISSING_PAGES,
                missingPages(ledger.stateDirectory(), ledger.migration()).toString()));
  }

  private static Path missingPages(Path stateDirectory, UUID migration) {
    return LedgerSide.TARGET
        .folder(stateDirectory.toAbsolutePath().normalize())
        .resolve(migration + ".missing");
  }
}
