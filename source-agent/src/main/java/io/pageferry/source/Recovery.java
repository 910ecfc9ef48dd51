package io.pageferry.source;

import io.pageferry.agent.cli.AddressConverter;
import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.cli.TlsOptions;
import io.pageferry.agent.cli.Version;
import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.agent.local.ControlSocket;
import io.pageferry.agent.process.MigrationProcesses;
import io.pageferry.agent.report.MigrationReport;
import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.control.GuestPlace;
import io.pageferry.guest.control.GuestStatus;
import io.pageferry.guest.description.Afterwards;
import io.pageferry.guest.description.DescriptionException;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageException;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.protocol.channel.PeerConnector;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.page.ImageDigest;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.EnumSet;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;

/**
 * Takes up one migration whose agent is no more, from its ledger.
 *
 * <p>The tracking ended with the agent (the kernel closes its descriptors), so what is left is the
 * question whose guest it is and whether it runs.
 */
final class Recovery {
  private static final Logger STORY = LogOutput.story("source");

  private final OwnershipLedger ledger;
  private final TlsOptions tls;
  private final Duration settleFor;
  private final boolean force;
  private final boolean quiet;
  private final @Nullable Path json;
  private final CopyLimits copies;

  /**
   * @param settleFor how long to ask the target
   * @param force whether the guest is resumed here without the target's word
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
    this.quiet = quiet;
    this.json = json;
    this.copies = copies;
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
          yield "Guest %s was not paused and runs on here.".formatted(guestName());
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
                ? "Guest %s has moved to %s.".formatted(guestName(), peer())
                : release();
        default ->
            "Nothing is left to recover: migration %s is %s."
                .formatted(ledger.migration(), ledger.current());
      };
    } catch (IOException e) {
      throw open(String.valueOf(e.getMessage()), e);
    }
  }

  /** The target may still wait for a word of the agent that is no more. */
  private void withdraw() {
    String peerName = MigrationFields.peerName(ledger.fields());
    if (peerName.isEmpty()) {
      return;
    }
    InetSocketAddress target = new AddressConverter().convert(peer());
    try (PeerConnector connector =
        new PeerConnector(tls.clientSettings(target, STORY, ledger.fields().more()))) {
      new Settlement(new TargetPlace(connector, target, SourceAgent.INTRODUCTION), peerName)
          .withdraw(ledger.migration(), Settlement.WITHDRAWAL);
    } catch (CommandFailure e) {
      STORY.debug("the target cannot be told that the guest stays here", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private String settle() throws IOException, CommandFailure {
    if (force) {
      STORY.warn("Forced: nobody has asked {} whether it took the guest over.", peer());
      ledger.record(LedgerState.RECLAIMED);
      return putBack("was taken back by force");
    }
    InetSocketAddress target = new AddressConverter().convert(peer());
    try (PeerConnector connector =
        new PeerConnector(tls.clientSettings(target, STORY, ledger.fields().more()))) {
      Settlement settlement = settlement(connector, target);
      Optional<LedgerState> settled = settlement.settle(ledger, settleFor, true);
      if (settled.isEmpty()) {
        throw open("%s does not say whether it took the guest over".formatted(peer()), null);
      }
      return switch (settled.get()) {
        case RECLAIMED -> putBack("was given back by the target");
        case SERVING -> serve(connector, target);
        case HANDED_OVER ->
            throw PostCopyFields.any(ledger.fields())
                    && settlement.hasEndedUnseen(ledger.migration())
                ? endedUnseen(null)
                : open(
                    "%s took the guest over and has not started it: %s, or add --force here if its"
                            .formatted(peer(), Settlement.howToStartThere(ledger.fields()))
                        + " process there has ended",
                    null);
        default -> release();
      };
    } catch (InterruptedException e) {
      throw open("the recovery was interrupted", e);
    }
  }

  private String serve() throws IOException, CommandFailure {
    InetSocketAddress target = new AddressConverter().convert(peer());
    try (PeerConnector connector =
        new PeerConnector(tls.clientSettings(target, STORY, ledger.fields().more()))) {
      return force ? takeBack(settlement(connector, target)) : serve(connector, target);
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
      throw waiting("the recovery was interrupted", e);
    } catch (IOException e) {
      throw waiting("it cannot be asked whether the guest has ended (" + e.getMessage() + ")", e);
    }
    if (!ended) {
      throw new CommandFailure(
          ExitCode.REFUSED,
          "guest %s is %s's and the copy here is older: nothing was changed; to go on sending"
                  .formatted(guestName(), peer())
              + " its missing pages run '%s' without --force".formatted(command()));
    }
    STORY.warn("Forced: the guest has ended on {}, and whether it ran there is not known.", peer());
    ledger.record(LedgerState.RECLAIMED);
    return putBack("was taken back by force");
  }

  private Settlement settlement(PeerConnector connector, InetSocketAddress target) {
    return new Settlement(
        new TargetPlace(connector, target, SourceAgent.INTRODUCTION),
        MigrationFields.peerName(ledger.fields()));
  }

  /** The copy here may be the only guest there is, or an older one of a guest that has run on. */
  private CommandFailure endedUnseen(@Nullable Exception cause) throws CommandFailure {
    String ended = EndedThere.unseen(guestName(), peer(), cause);
    if (processEnded() || GuestPlace.of(description()).isDeserted()) {
      LedgerEnd.endedThere(ledger);
      return new CommandFailure(
          ExitCode.FAILED, ended + ", and its copy here has ended too: nothing is left", cause);
    }
    return new CommandFailure(ExitCode.RECOVERABLE, ended + EndedThere.keptFor(command()), cause);
  }

  /**
   * The guest runs on the target and its missing pages are in the image of the one paused here.
   * Meanwhile this process is like the one that moved the guest to everybody: it can be asked where
   * it is, and a signal does not end it while the guest needs it.
   */
  private String serve(PeerConnector connector, InetSocketAddress target) throws CommandFailure {
    MigrationProgress progress = new MigrationProgress(ledger.migration(), peer());
    MigrationJournal journal =
        new MigrationJournal(
            ledger.migration(), MigrationFields.mode(ledger.fields()), Version.number());
    Cancellation cancellation = new Cancellation();
    cancellation.drivenBy(Thread.currentThread());
    SwitchWish wish = new SwitchWish();
    wish.refuse("it is in post-copy already");
    try (SignalWatch signals = SignalWatch.over(cancellation)) {
      try (ControlSocket _ =
          ControlSocket.open(
              ledger.stateDirectory(), "source", new ControlDesk(progress, cancellation, wish))) {
        bringPages(connector, target, cancellation, progress, journal);
        String done = release();
        signals.done();
        report(journal.completed());
        return done;
      } catch (CommandFailure e) {
        report(journal.failed(e));
        throw signals.failed(e);
      } catch (IOException e) {
        throw signals.failed(waiting(String.valueOf(e.getMessage()), e));
      }
    }
  }

  private void bringPages(
      PeerConnector connector,
      InetSocketAddress target,
      Cancellation cancellation,
      MigrationProgress progress,
      MigrationJournal journal)
      throws CommandFailure, IOException {
    GuestDescription description = description();
    requireStill(description);
    try (GuestImage image = GuestImage.openExisting(description);
        ImageDigest digest = new ImageDigest(ImageReread.layout(image.regions()));
        ProgressDisplay _ = ProgressDisplay.show(progress, quiet)) {
      long pages = image.regions().stream().mapToLong(ImageRegion::pages).sum();
      progress.guest(guestName(), pages);
      journal.guest(guestName(), pages * ImageRegion.PAGE_BYTES);
      Resumption resumption =
          new Resumption(
              new TargetPlace(connector, target, SourceAgent.INTRODUCTION),
              MigrationFields.peerName(ledger.fields()),
              cancellation,
              progress,
              journal);
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
                    .formatted(peer(), guestName())
                + " still does, and the copy here was kept and stays paused");
      }
    } catch (GuestEndedThereException e) {
      if (!e.knownToHaveRun()) {
        throw endedUnseen(e);
      }
      throw EndedThere.afterItRan(ledger, peer(), e);
    } catch (InterruptedException e) {
      throw waiting("the attempts to reach it were called off", e);
    } finally {
      cancellation.ignoreFromNowOn("the recovery is ending");
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
    if (processEnded()) {
      return;
    }
    try {
      if (!place.isTaken()) {
        return;
      }
    } catch (GuestControlException e) {
      throw waiting("the copy here does not answer (%s)".formatted(e.getMessage()), e);
    }
    try (GuestControl control = place.connect()) {
      if (control.status().running()) {
        throw waiting("the copy here runs, so that its memory is not what it was any more", null);
      }
    } catch (IOException e) {
      throw waiting("the copy here does not answer (%s)".formatted(e.getMessage()), e);
    }
  }

  private CommandFailure waiting(String what, @Nullable Exception cause) {
    return new CommandFailure(
        ExitCode.RECOVERABLE,
        "guest %s is %s's and waits there as soon as it needs a page that is only here: %s; keep the"
                .formatted(guestName(), peer(), what)
            + " paused copy and try again with '%s'".formatted(command()),
        cause);
  }

  private String putBack(String why) throws IOException, CommandFailure {
    GuestDescription description = description();
    // A command of the agent that is no more may still be about to pause the guest.
    MigrationProcesses.settleSource(ledger.migration(), description.control().timeout());
    IOException stuck = Retreat.resume(null, description);
    if (stuck != null) {
      GuestPlace place = GuestPlace.of(description);
      if (processEnded() || place.isDeserted()) {
        throw ended(place, stuck);
      }
      throw open("it cannot be resumed (%s)".formatted(stuck.getMessage()), stuck);
    }
    ledger.record(LedgerState.FAILED);
    return "Guest %s %s and runs on here.".formatted(guestName(), why);
  }

  /** There is nothing to let run; a ledger left open would have everybody try for ever. */
  private CommandFailure ended(GuestPlace place, IOException cause) throws IOException {
    boolean untold = ledger.current() == LedgerState.PAUSED;
    ledger.record(LedgerState.FAILED);
    if (untold) {
      withdraw();
    }
    return new CommandFailure(
        ExitCode.FAILED,
        "guest %s was paused here and has ended since (nobody answers %s): nothing is left to"
                .formatted(guestName(), place.how())
            + " recover",
        cause);
  }

  /** The guest runs on the target; the paused copy here is of no more use. */
  private String release() throws CommandFailure {
    GuestDescription description = description();
    DepartedImage.drop(ledger);
    if (description.afterwards() == Afterwards.QUIT && !processEnded()) {
      GuestPlace place = GuestPlace.of(description);
      try {
        if (place.isTaken()) {
          endCopy(place, description);
        }
      } catch (IOException e) {
        throw new CommandFailure(
            ExitCode.FAILED,
            "guest %s runs on %s, but its paused copy here did not end (%s) and keeps its memory"
                    .formatted(guestName(), peer(), e.getMessage())
                + ": try again with '%s'".formatted(command()),
            e);
      }
    }
    LedgerEnd.released(ledger);
    return "Guest %s was taken over by %s and runs there.".formatted(guestName(), peer());
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
        return;
      }
      DepartedImage.quit(control, ledger, guestName(), image, copies);
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

  /** Whether the process that the guest was here has ended, where that was written down. */
  private boolean processEnded() {
    LedgerFields.LaunchedProcess process = ledger.fields().launched();
    return process != null && process.find() == null;
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

  private String command() {
    return RecoverCommand.of(ledger.migration(), ledger.stateDirectory());
  }

  private GuestDescription description() throws CommandFailure {
    String path = ledger.fields().description();
    if (path == null) {
      throw open("the ledger does not say where the guest is described", null);
    }
    try {
      return GuestDescription.load(Path.of(path));
    } catch (DescriptionException e) {
      throw open(String.valueOf(e.getMessage()), e);
    }
  }

  private CommandFailure open(String what, @Nullable Exception cause) {
    return new CommandFailure(
        ExitCode.RECOVERABLE,
        "guest %s stays paused here: %s; try again with '%s'"
            .formatted(guestName(), what, command()),
        cause);
  }

  private String guestName() {
    return ledger.fields().guest();
  }

  private String peer() {
    return ledger.fields().peer();
  }
}
