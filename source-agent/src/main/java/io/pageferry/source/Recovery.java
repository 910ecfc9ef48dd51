package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.cli.TlsOptions;
import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.agent.process.MigrationProcesses;
import io.pageferry.guest.control.GuestPlace;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.protocol.channel.PeerConnector;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import picocli.CommandLine.ParameterException;

/**
 * Takes up one migration whose agent is no more, from its ledger.
 *
 * <p>The tracking ended with the agent (the kernel closes its descriptors), so what is left is the
 * question whose guest it is and whether it runs. As {@link Rescue} in the agent that began it,
 * this goes by the ledger: the guest is put back, the target is asked whose it is, one that runs
 * there gets its pages ({@link PostCopyRecovery}), and the copy of one that has moved is ended
 * ({@link CopyRelease}).
 *
 * <p>Threading: the driver thread.
 */
final class Recovery {
  private static final Logger STORY = LogOutput.story("source");

  /** Who forces has asked before, for longer than this. */
  private static final Duration FORCED_LIMIT = Duration.ofSeconds(5);

  private final OrphanedMigration migration;
  private final OwnershipLedger ledger;
  private final TlsOptions tls;
  private final Duration settleFor;
  private final boolean force;
  private final PostCopyRecovery postcopy;
  private final CopyRelease release;

  /**
   * @param settleFor how long to ask the target
   * @param force whether the guest is resumed here where the target does not say that it runs there
   * @param quiet whether no progress is shown
   * @param json where the report goes of a guest that still got pages
   * @param copies what is kept here of a guest that has moved
   */
  Recovery(
      OwnershipLedger ledger,
      TlsOptions tls,
      Duration settleFor,
      boolean force,
      boolean quiet,
      @Nullable Path json,
      CopyLimits copies) {
    this.ledger = ledger;
    this.tls = tls;
    this.settleFor = settleFor;
    this.force = force;
    migration = new OrphanedMigration(ledger);
    release = new CopyRelease(migration, copies);
    postcopy = new PostCopyRecovery(migration, release, settleFor, quiet, json);
  }

  /**
   * @return what was found and done, one sentence
   * @throws CommandFailure RECOVERABLE while the question stays open
   */
  String run() throws CommandFailure {
    try {
      return switch (ledger.current()) {
        case PLANNED, STREAMING -> {
          ledger.record(LedgerState.FAILED);
          yield "Guest %s was not paused and runs on here.".formatted(migration.guestName());
        }
        case PAUSED -> {
          String done = putBack("had not been handed over");
          withdraw();
          yield done;
        }
        case RECLAIMED -> putBack("was given back by the target");
        case HANDED_OVER -> settle();
        case SERVING -> serve();
        case COMPLETED ->
            ledger.fields().isSet(LedgerFields.RELEASED)
                ? "Guest %s has moved to %s.".formatted(migration.guestName(), migration.peer())
                : release.run();
        default ->
            "Nothing is left to recover: migration %s is %s."
                .formatted(ledger.migration(), ledger.current());
      };
    } catch (IOException e) {
      throw migration.undecided(String.valueOf(e.getMessage()), e);
    }
  }

  /** The target may still wait for a word of the agent that is no more. */
  private void withdraw() {
    if (migration.peerName().isEmpty()) {
      return;
    }
    try (PeerConnector connector = migration.connector(tls)) {
      settlement(connector).withdraw(ledger.migration(), Settlement.WITHDRAWAL);
    } catch (CommandFailure e) {
      STORY.debug("the target cannot be told that the guest stays here", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private String settle() throws IOException, CommandFailure {
    if (force) {
      return settleByForce();
    }
    try (PeerConnector connector = migration.connector(tls)) {
      Settlement settlement = settlement(connector);
      Optional<LedgerState> settled = settlement.settle(ledger, settleFor, true);
      if (settled.isEmpty()) {
        throw migration.undecided(
            "%s does not say whether it took the guest over".formatted(migration.peer()), null);
      }
      return switch (settled.get()) {
        case RECLAIMED -> putBack("was given back by the target");
        case SERVING -> postcopy.run(migration.target(connector));
        case HANDED_OVER -> throw notStartedThere(settlement);
        default -> release.run();
      };
    } catch (InterruptedException e) {
      throw migration.undecided("the recovery was interrupted", e);
    }
  }

  /**
   * What the target says goes before what the user wants, because of a guest that runs there he
   * cannot know. Where it says nothing, or that it took the guest over and has not come to run it,
   * he decides.
   */
  private String settleByForce() throws IOException, CommandFailure {
    @Nullable PeerConnector asking = null;
    boolean told = tls.given();
    try {
      asking = migration.connector(tls);
    } catch (CommandFailure | ParameterException e) {
      if (told) {
        // A slip of the pen is not the target's silence.
        throw e;
      }
      STORY.warn(
          "{} cannot be asked whether the guest runs there: {}.", migration.peer(), e.getMessage());
    }
    try (PeerConnector connector = asking) {
      if (connector != null) {
        Settlement settlement = settlement(connector);
        Optional<LedgerState> settled = settlement.settle(ledger, FORCED_LIMIT, true);
        // One that was taken over in pre-copy has all of its pages there; whether it ran is open.
        if (settled.isPresent()
            && (settled.get() != LedgerState.HANDED_OVER || PostCopyFields.any(ledger.fields()))) {
          return switch (settled.get()) {
            case RECLAIMED -> putBack("was given back by the target");
            case SERVING, HANDED_OVER -> takeBack(settlement);
            default -> release.run();
          };
        }
      }
    } catch (InterruptedException e) {
      throw migration.undecided("the recovery was interrupted", e);
    }
    STORY.warn("Forced: whether the guest has run on {} is not known.", migration.peer());
    ledger.record(LedgerState.RECLAIMED);
    return putBack("was taken back by force");
  }

  private CommandFailure notStartedThere(Settlement settlement)
      throws IOException, InterruptedException, CommandFailure {
    return PostCopyFields.any(ledger.fields()) && settlement.hasEndedUnseen(ledger.migration())
        ? migration.endedUnseen(null)
        : migration.undecided(
            "%s took the guest over and has not started it: %s, or add --force here if its"
                    .formatted(migration.peer(), Settlement.howToStartThere(ledger.fields()))
                + " process there has ended",
            null);
  }

  private String serve() throws IOException, CommandFailure {
    try (PeerConnector connector = migration.connector(tls)) {
      return force ? takeBack(settlement(connector)) : postcopy.run(migration.target(connector));
    }
  }

  /**
   * Takes a guest back that the target has written down as ended before anybody saw it run: it does
   * not run there and never will, and whether it did nobody can say, so that the user decides.
   */
  private String takeBack(Settlement settlement) throws IOException, CommandFailure {
    boolean ended;
    try {
      ended = settlement.hasEndedUnseen(ledger.migration());
    } catch (InterruptedException e) {
      throw migration.lackingPages("the recovery was interrupted", e);
    } catch (IOException e) {
      throw migration.lackingPages(
          "it cannot be asked whether the guest has ended (" + e.getMessage() + ")", e);
    }
    if (!ended) {
      throw new CommandFailure(
          ExitCode.REFUSED,
          "guest %s is %s's and the copy here is older: nothing was changed; to go on sending"
                  .formatted(migration.guestName(), migration.peer())
              + " its missing pages run '%s' without --force".formatted(migration.command()));
    }
    STORY.warn(
        "Forced: the guest has ended on {}, and whether it ran there is not known.",
        migration.peer());
    ledger.record(LedgerState.RECLAIMED);
    return putBack("was taken back by force");
  }

  private Settlement settlement(PeerConnector connector) throws CommandFailure {
    return new Settlement(migration.target(connector), migration.peerName());
  }

  private String putBack(String why) throws IOException, CommandFailure {
    GuestDescription description = migration.description();
    // A command of the agent that is no more may still be about to pause the guest.
    MigrationProcesses.settleSource(ledger.migration(), description.control().timeout());
    IOException stuck = Retreat.resume(null, description);
    if (stuck != null) {
      GuestPlace place = GuestPlace.of(description);
      if (migration.processEnded() || place.isDeserted()) {
        throw endedHere(place, stuck);
      }
      throw migration.undecided("it cannot be resumed (%s)".formatted(stuck.getMessage()), stuck);
    }
    ledger.record(LedgerState.FAILED);
    return "Guest %s %s and runs on here.".formatted(migration.guestName(), why);
  }

  /** There is nothing to let run; a ledger left open would have everybody try for ever. */
  private CommandFailure endedHere(GuestPlace place, IOException cause) throws IOException {
    boolean untold = ledger.current() == LedgerState.PAUSED;
    ledger.record(LedgerState.FAILED);
    if (untold) {
      withdraw();
    }
    return new CommandFailure(
        ExitCode.FAILED,
        "guest %s was paused here and has ended since (nobody answers %s): nothing is left to"
                .formatted(migration.guestName(), place.how())
            + " recover",
        cause);
  }
}
