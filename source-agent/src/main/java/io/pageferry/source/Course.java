package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.HoldPoint;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.dirty.DirtyTracker;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.page.PageRehearsal;
import io.pageferry.source.MigrationSettings.OnStall;
import java.io.IOException;
import java.util.Locale;
import java.util.Objects;
import org.slf4j.Logger;

/**
 * The way of a guest that the target has accepted, by its mode: what is sent before the pause,
 * which of the two pauses there is, and what follows it. Each of these is a class of its own; here
 * is which comes when.
 *
 * <p>Threading: the driver thread.
 */
final class Course {
  private static final Logger STORY = LogOutput.story("source");

  private final MigrationSettings settings;
  private final SourceGuest guest;
  private final OwnershipLedger ledger;
  private final TargetLink link;
  private final SentMemory memory;
  private final Sending sending;
  private final Oversight oversight;

  Course(
      MigrationSettings settings,
      SourceGuest guest,
      OwnershipLedger ledger,
      TargetLink link,
      SentMemory memory,
      Sending sending,
      Oversight oversight) {
    this.settings = settings;
    this.guest = guest;
    this.ledger = ledger;
    this.link = link;
    this.memory = memory;
    this.sending = sending;
    this.oversight = oversight;
  }

  /**
   * Moves the guest; returns when it runs on the target and has all of its memory there.
   *
   * @param accepted what the target is ready for
   * @param fixedCostNanos what the pause is expected to cost besides pages
   * @return what the pause cost
   * @throws IOException on any failure; the ledger's state says on which side of the hand-over
   */
  Switchover.Parts run(Accepted accepted, long fixedCostNanos)
      throws IOException, InterruptedException, CommandFailure {
    return switch (settings.mode()) {
      case STOP_AND_COPY -> stopAndCopy();
      case POSTCOPY -> postCopyAtOnce();
      case PRECOPY, HYBRID -> preCopy(accepted, fixedCostNanos);
    };
  }

  private Switchover.Parts stopAndCopy() throws IOException, InterruptedException, CommandFailure {
    guest.requireItsMemory();
    describe("all of it while the guest stands still");
    return switchover(1, () -> sending.rounds().everything(guest.image()));
  }

  private Switchover.Parts preCopy(Accepted accepted, long fixedCostNanos)
      throws IOException, InterruptedException, CommandFailure {
    DirtyTracker tracker = guest.track(settings.tracking(), memory.digest()::differs);
    oversight.journal().tracking(tracker.name());
    describe("dirty pages by " + tracker.name());
    OnStall onStall = onStall(accepted);
    oversight.journal().precopyBegins();
    DirtyPages dirty = new DirtyPages(guest.regionPages());
    PreCopy.Result result;
    // What later rounds and the switchover do with a page, while the first one goes.
    try (PageRehearsal _ = SourceRehearsal.pages()) {
      result =
          new PreCopy(
                  guest,
                  tracker,
                  sending.rounds(),
                  RoundRule.of(settings, guest.memoryBytes()),
                  onStall,
                  settings.holdBack(),
                  oversight.wish(),
                  oversight.journal(),
                  oversight.progress())
              .run(fixedCostNanos, dirty);
    }
    SwitchedBy early =
        settings.mode() == MigrationMode.HYBRID && result.switchedBy() == null
            ? SwitchedBy.PLAN
            : result.switchedBy();
    if (early != null) {
      UnsentPages unsent = new UnsentPages(guest.regionPages(), accepted.granulePages());
      dirty.drainTo(unsent::mark);
      return postCopy(result.rounds() + 1, unsent, tracker::collect, early);
    }
    return switchover(
        result.rounds() + 1,
        () -> {
          tracker.collect(dirty::mark);
          return sending.rounds().of(dirty);
        });
  }

  /** What becomes of a guest that outruns the link; also whether its user may have it switch. */
  private OnStall onStall(Accepted accepted) {
    SwitchWish wish = oversight.wish();
    if (accepted.faultToken() != null) {
      wish.allow();
      return settings.onStall();
    }
    if (settings.onStall() == OnStall.POSTCOPY) {
      STORY.warn(
          "The target cannot do post-copy for this guest: if it dirties faster than the link"
              + " carries, it will stand still for as long as the rest takes.");
      wish.refuse("the target cannot do post-copy for this guest");
      return OnStall.PAUSE;
    }
    wish.refuse(
        "it was begun with --on-stall %s, without post-copy"
            .formatted(settings.onStall().name().toLowerCase(Locale.ROOT)));
    return settings.onStall();
  }

  private Switchover.Parts postCopyAtOnce()
      throws IOException, InterruptedException, CommandFailure {
    guest.requireItsMemory();
    describe("the guest first and its pages as it touches them");
    long[] regionPages = guest.regionPages();
    UnsentPages unsent = new UnsentPages(regionPages);
    for (int region = 0; region < regionPages.length; region++) {
      unsent.mark(region, 0, regionPages[region]);
    }
    return postCopy(1, unsent, consumer -> {}, SwitchedBy.PLAN);
  }

  private Switchover.Parts switchover(int round, Switchover.Remainder remainder)
      throws IOException, InterruptedException {
    return new Switchover(
            guest,
            remainder,
            sending.rounds(),
            link,
            ledger,
            memory.digest(),
            oversight.cancellation(),
            oversight.journal(),
            oversight.progress())
        .run(round, settings.verifyFull());
  }

  /** The pause, and the pages that follow it. */
  private Switchover.Parts postCopy(
      int round, UnsentPages unsent, PostCopySwitch.Stale stale, SwitchedBy why)
      throws IOException, InterruptedException {
    Cancellation cancellation = oversight.cancellation();
    MigrationJournal journal = oversight.journal();
    MigrationProgress progress = oversight.progress();
    journal.switchedBy(why);
    oversight.wish().refuse("it is in post-copy already");
    try (PostCopy postcopy =
        new PostCopy(
            link,
            round,
            guest.image(),
            memory.digest(),
            unsent,
            sending.postCopyManner(),
            progress,
            journal)) {
      Switchover.Parts parts =
          new PostCopySwitch(guest, link, ledger, cancellation, journal, progress)
              .run(postcopy, round, unsent, stale, PostCopyFields.add(ledger.fields(), settings));
      cancellation.beginServing();
      STORY.info(
          "Guest {} runs on the target after {} ms; {} MiB of its memory follow.",
          guest.name(),
          "%.1f".formatted(Objects.requireNonNull(journal.downtimeMillis())),
          (unsent.count() * 4096) >> 20);
      HoldPoint.reached("serving");
      memory.settled(postcopy.run(sending.rounds(), () -> memory.whole(guest.image())));
      return parts;
    }
  }

  private void describe(String how) {
    STORY.info(
        "{} MiB of memory in {} region(s), {} data channel(s), {}.",
        guest.memoryBytes() >> 20,
        guest.image().regions().size(),
        link.data().size(),
        how);
  }
}
