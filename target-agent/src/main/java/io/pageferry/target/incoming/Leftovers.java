package io.pageferry.target.incoming;

import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.agent.ledger.LedgerEntry;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.agent.process.MigrationProcesses;
import io.pageferry.guest.control.GuestPlace;
import io.pageferry.guest.control.QmpSocket;
import io.pageferry.guest.description.GuestDescription;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Instant;
import java.util.Collections;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Removes what there is on this host of a guest that will not run here any more, by what its ledger
 * says: what a killed agent left of a migration that is abandoned, and a guest that has ended.
 */
public final class Leftovers {
  private static final Logger LOG = LoggerFactory.getLogger(Leftovers.class);

  private Leftovers() {}

  /**
   * Ends the launched guest and removes the image, unless a later migration has taken its place.
   *
   * @param others all ledgers of this host's target side
   * @return whether nothing is left
   */
  public static boolean remove(UUID migration, LedgerFields fields, List<LedgerEntry> others) {
    Instant begun = begun(fields);
    for (LedgerEntry other : others) {
      if (!other.migration().equals(migration) && hasTakenThePlace(other, fields, begun)) {
        LOG.warn(
            "migration {} came later than {} and has its place: that is left alone",
            other.migration(),
            migration);
        // By the mark alone, which no other migration's process has; a number may be used again.
        MigrationProcesses.end(migration, null);
        return true;
      }
    }
    removeMissingPages(fields);
    LedgerFields.LaunchedProcess launched = fields.launched();
    ProcessHandle known = launched == null ? null : launched.find();
    MigrationProcesses.end(migration, known);
    String handover = fields.more().get(TargetLedger.HANDOVER);
    if (handover != null) {
      removeSocket(Path.of(handover));
    }
    if (!fields.isSet(TargetLedger.IMAGE_MADE_HERE)) {
      return true;
    }
    String qmp = fields.more().get(TargetLedger.QMP);
    if (qmp != null) {
      if (isAnswered(Path.of(qmp))) {
        // Ours have ended, so it is another guest, and it may have this image as its memory.
        LOG.warn("a guest that migration {} did not launch is at {}: left alone", migration, qmp);
        return MigrationProcesses.find(migration, known).isEmpty();
      }
      removeSocket(Path.of(qmp));
    } else if (isTaken(fields)) {
      LOG.warn(
          "a guest that migration {} did not launch is controlled by the commands of {}: left alone",
          migration,
          fields.description());
      return MigrationProcesses.find(migration, known).isEmpty();
    }
    // A file older than the ledger is not what this migration made.
    boolean clean = true;
    for (String image : fields.images()) {
      clean &= removeImage(Path.of(image), begun, fields.more().get(TargetLedger.RETURNED));
    }
    return clean;
  }

  /**
   * A guest has ended before all of its pages were here, and what is left of it is of no use:
   * written down, then removed.
   *
   * @param ledger closed with this
   * @param sentence how it ended
   */
  public static void bury(OwnershipLedger ledger, String sentence) {
    try (ledger) {
      ledger.record(LedgerState.COMPLETED, ledger.fields().with(TargetLedger.ENDED, sentence));
      remove(
          ledger.migration(),
          ledger.fields(),
          OwnershipLedger.list(ledger.stateDirectory(), LedgerSide.TARGET).entries());
    } catch (LedgerException e) {
      LOG.error("migration {}: {}", ledger.migration(), e.getMessage());
    }
  }

  /** Whether the commands of a guest's description know of one now. */
  private static boolean isTaken(LedgerFields fields) {
    String description = fields.description();
    if (description == null) {
      return false;
    }
    try {
      return GuestPlace.of(GuestDescription.load(Path.of(description))).isTaken();
    } catch (IOException e) {
      // Whoever is there cannot have this image as its memory: it was made for the one that ended.
      LOG.warn("whether a guest is there cannot be told: {}", e.getMessage());
      return false;
    }
  }

  /** Removes what only an agent needs that takes a guest up whose pages are missing. */
  public static void removeMissingPages(LedgerFields fields) {
    String missing = fields.more().get(TargetLedger.MISSING_PAGES);
    if (missing != null) {
      removeFile(Path.of(missing));
      removeFile(KeptHandover.beside(Path.of(missing)).file());
    }
  }

  private static void removeFile(Path file) {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      LOG.warn("{} cannot be removed: {}", file, e.toString());
    }
  }

  private static boolean hasTakenThePlace(LedgerEntry other, LedgerFields fields, Instant begun) {
    boolean gone = other.state() == LedgerState.ABANDONED && other.settled();
    return !gone
        && !begun(other.fields()).isBefore(begun)
        && (!Collections.disjoint(other.fields().images(), fields.images())
            || sameHandover(other.fields(), fields));
  }

  /** Whether both have memory in no file and hand it over at the same socket. */
  private static boolean sameHandover(LedgerFields other, LedgerFields fields) {
    String socket = fields.more().get(TargetLedger.HANDOVER);
    return socket != null && socket.equals(other.more().get(TargetLedger.HANDOVER));
  }

  private static Instant begun(LedgerFields fields) {
    return Instant.parse(fields.more().getOrDefault(TargetLedger.BEGUN, Instant.EPOCH.toString()));
  }

  private static boolean removeImage(Path image, Instant begun, @Nullable String returned) {
    try {
      BasicFileAttributes attributes = Files.readAttributes(image, BasicFileAttributes.class);
      // The agent may have been killed before it found that another's file is in the way.
      boolean older = attributes.creationTime().toInstant().plusSeconds(1).isBefore(begun);
      if (older && (returned == null || !GuestCopies.isOneOf(returned, image))) {
        LOG.warn("{} is older than the migration and is left alone", image);
        return true;
      }
      Files.delete(image);
      return true;
    } catch (java.nio.file.NoSuchFileException e) {
      return true;
    } catch (IOException e) {
      LOG.error("{} cannot be removed: {}", image, e.toString());
      return false;
    }
  }

  /** Removes a control socket whose guest has ended; one that somebody answers on stays. */
  static void removeSocket(Path socket) {
    if (!Files.exists(socket) || isAnswered(socket)) {
      return;
    }
    try {
      Files.deleteIfExists(socket);
    } catch (IOException e) {
      LOG.warn("{} cannot be removed: {}", socket, e.toString());
    }
  }

  /** Whether a process listens there. */
  public static boolean isAnswered(Path socket) {
    return !QmpSocket.isDeserted(socket);
  }
}
