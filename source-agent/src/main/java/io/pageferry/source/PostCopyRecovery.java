package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.agent.local.ControlSocket;
import io.pageferry.agent.report.MigrationReport;
import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.control.GuestPlace;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.page.ImageDigest;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Brings a guest its missing pages whose agent here ended meanwhile: it runs on the target, and
 * they are in the image of the one paused here. The sending is {@link Resumption}'s, as in the
 * agent that moved the guest; to everybody this process is like that one. It can be asked where it
 * is, and a signal does not end it while the guest needs it.
 *
 * <p>Threading: the driver thread.
 */
final class PostCopyRecovery {
  private final OrphanedMigration migration;
  private final OwnershipLedger ledger;
  private final CopyRelease release;
  private final Duration settleFor;
  private final boolean quiet;
  private final @Nullable Path json;

  /**
   * @param release for when nothing is missing any more
   * @param settleFor how long a lost link is tried again at the least
   * @param quiet whether no progress is shown
   * @param json where the report goes
   */
  PostCopyRecovery(
      OrphanedMigration migration,
      CopyRelease release,
      Duration settleFor,
      boolean quiet,
      @Nullable Path json) {
    this.migration = migration;
    this.release = release;
    this.ledger = migration.ledger();
    this.settleFor = settleFor;
    this.quiet = quiet;
    this.json = json;
  }

  /**
   * Returns when the target has everything and the copy here is released.
   *
   * @return what was done, one sentence
   * @throws CommandFailure RECOVERABLE as long as the guest may still need its pages
   */
  String run(TargetPlace target) throws CommandFailure {
    Oversight oversight =
        Oversight.of(migration.id(), MigrationFields.mode(ledger.fields()), migration.peer());
    oversight.cancellation().drivenBy(Thread.currentThread());
    oversight.wish().refuse("it is in post-copy already");
    try (SignalWatch signals = SignalWatch.over(oversight.cancellation())) {
      try (ControlSocket _ =
          ControlSocket.open(ledger.stateDirectory(), "source", oversight.desk())) {
        bringPages(target, oversight);
        String done = release.run();
        signals.done();
        report(oversight.journal().completed());
        return done;
      } catch (CommandFailure e) {
        report(oversight.journal().failed(e));
        throw signals.failed(e);
      } catch (IOException e) {
        throw signals.failed(migration.lackingPages(String.valueOf(e.getMessage()), e));
      }
    }
  }

  private void bringPages(TargetPlace target, Oversight oversight)
      throws CommandFailure, IOException {
    MigrationProgress progress = oversight.progress();
    MigrationJournal journal = oversight.journal();
    GuestDescription description = migration.description();
    requireStill(description);
    try (GuestImage image = GuestImage.openExisting(description);
        ImageDigest digest = new ImageDigest(ImageReread.layout(image.regions()));
        ProgressDisplay _ = ProgressDisplay.show(progress, quiet)) {
      long pages = image.regions().stream().mapToLong(ImageRegion::pages).sum();
      progress.guest(migration.guestName(), pages);
      journal.guest(migration.guestName(), pages * ImageRegion.PAGE_BYTES);
      Resumption resumption =
          new Resumption(target, migration.peerName(), oversight.cancellation(), progress, journal);
      // What an earlier agent sent is not known here, but nothing has changed since.
      Resumption.Remains remains =
          new Resumption.Remains(ledger, image, digest, () -> ImageReread.digest(image));
      Optional<Settled> settled =
          resumption.run(
              remains,
              PostCopyFields.manner(ledger.fields()),
              PostCopyFields.recoverFor(ledger.fields(), settleFor));
      progress.phase("completed");
      settled.ifPresentOrElse(journal::settled, journal::allThere);
      if (settled.isPresent() && settled.get().comparison() == Comparison.DIFFERENT) {
        LedgerEnd.released(ledger);
        throw new CommandFailure(
            ExitCode.FAILED,
            "what arrived on %s is not what is here, found out when guest %s ran there already: it"
                    .formatted(migration.peer(), migration.guestName())
                + " still does, and the copy here was kept and stays paused");
      }
    } catch (GuestEndedThereException e) {
      throw e.knownToHaveRun()
          ? EndedThere.afterItRan(ledger, migration.peer(), e)
          : migration.endedUnseen(e);
    } catch (InterruptedException e) {
      throw migration.lackingPages("the attempts to reach it were called off", e);
    } finally {
      oversight.cancellation().ignoreFromNowOn("the recovery is ending");
    }
  }

  private void report(MigrationReport report) {
    if (json != null) {
      MigrateCommand.writeReport(json, report);
    }
  }

  /** A copy that ran on would have changed the memory that the target still waits for. */
  private void requireStill(GuestDescription description) throws CommandFailure {
    GuestPlace place = GuestPlace.of(description);
    if (migration.processEnded()) {
      return;
    }
    try {
      if (!place.isTaken()) {
        return;
      }
    } catch (GuestControlException e) {
      throw migration.lackingPages(
          "the copy here does not answer (%s)".formatted(e.getMessage()), e);
    }
    try (GuestControl control = place.connect()) {
      if (control.status().running()) {
        throw migration.lackingPages(
            "the copy here runs, so that its memory is not what it was any more", null);
      }
    } catch (IOException e) {
      throw migration.lackingPages(
          "the copy here does not answer (%s)".formatted(e.getMessage()), e);
    }
  }
}
