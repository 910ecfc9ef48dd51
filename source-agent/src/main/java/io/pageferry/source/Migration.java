package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.HoldPoint;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.agent.process.LowPriority;
import io.pageferry.guest.description.Afterwards;
import io.pageferry.guest.description.DescriptionException;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.dirty.DirtyTracker;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.channel.PeerLostException;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.PostcopyWish;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.page.BaseCache;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.PageCodec;
import io.pageferry.protocol.page.PageEncodings;
import io.pageferry.protocol.page.PageRehearsal;
import io.pageferry.protocol.rehearsal.ConversationRehearsal;
import io.pageferry.source.MigrationSettings.OnStall;
import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;

/**
 * One migration from beginning to end: preparation, rounds, switchover, and whatever has to be put
 * back when it does not come to that.
 *
 * <p>Threading: everything runs on the thread that calls {@link #run}, the driver; it blocks where
 * it waits and is interrupted by a cancellation.
 */
final class Migration {
  private static final Logger STORY = LogOutput.story("source");

  private final UUID id;
  private final MigrationSettings settings;
  private final TargetPlace target;
  private final Map<String, String> recovery;
  private final Oversight oversight;
  private final Cancellation cancellation;
  private final SwitchWish wish;
  private final MigrationProgress progress;
  private final MigrationJournal journal;

  /**
   * @param recovery how {@code source recover} reaches the target again
   */
  Migration(
      UUID id,
      MigrationSettings settings,
      TargetPlace target,
      Map<String, String> recovery,
      Oversight oversight) {
    this.id = id;
    this.settings = settings;
    this.target = target;
    this.recovery = recovery;
    this.oversight = oversight;
    cancellation = oversight.cancellation();
    wish = oversight.wish();
    progress = oversight.progress();
    journal = oversight.journal();
  }

  /**
   * Moves the guest, or leaves it as it was.
   *
   * @throws CommandFailure with the state the guest is in
   */
  void run() throws CommandFailure {
    cancellation.drivenBy(Thread.currentThread());
    GuestDescription description;
    try {
      description = GuestDescription.load(settings.description());
    } catch (DescriptionException e) {
      throw new CommandFailure(ExitCode.USAGE, e.getMessage() + "; nothing was changed", e);
    }
    try (SentMemory memory = new SentMemory(settings.verifyFull(), journal);
        SourceGuest guest = SourceGuest.open(description, id);
        OwnershipLedger ledger = beginLedger(guest)) {
      journal.guest(guest.name(), guest.memoryBytes());
      progress.guest(guest.name(), guest.memoryBytes() / 4096);
      Rescue rescue = new Rescue(settings, target, guest, ledger, memory, oversight);
      try {
        move(guest, ledger, memory, rescue);
      } catch (CommandFailure | IOException | InterruptedException | RuntimeException e) {
        rescue.after(e);
      } catch (Error e) {
        // No memory, a class that cannot be loaded: a defect, but the guest may stand paused.
        rescue.after(new IllegalStateException(e.toString(), e));
      }
      if (memory.differs()) {
        throw movedDifferently(guest, ledger);
      }
      release(guest, ledger);
    } catch (LedgerException e) {
      throw new CommandFailure(
          ExitCode.FAILED,
          "%s; the guest was not touched and runs on here".formatted(e.getMessage()),
          e);
    }
  }

  private OwnershipLedger beginLedger(SourceGuest guest) throws LedgerException, CommandFailure {
    LackingPages.refuse(settings.stateDirectory(), guest.name(), guest.imagePaths());
    new EarlierMigrations(settings.stateDirectory(), guest, settings.description()).end();
    return OwnershipLedger.create(
        settings.stateDirectory(),
        LedgerSide.SOURCE,
        id,
        MigrationFields.begin(guest, settings, recovery));
  }

  private void move(SourceGuest guest, OwnershipLedger ledger, SentMemory memory, Rescue rescue)
      throws IOException, InterruptedException, CommandFailure {
    // These run while the target's preflight does.
    ConversationRehearsal.begin();
    if (zstdIsNeededAtOnce()) {
      linkZstd();
    }
    // Beside the first round, where there is one; else the guest stands still for the first page.
    PageRehearsal pages = rounds() ? null : rehearsePages();
    try (pages;
        ControlRehearsal control = ControlRehearsal.begin(guest);
        TargetLink link = target.connect()) {
      try {
        drive(guest, ledger, link, memory, pages, control);
      } catch (CommandFailure | IOException | InterruptedException | RuntimeException e) {
        rescue.tell(link, e);
        throw e;
      }
    }
  }

  private void drive(
      SourceGuest guest,
      OwnershipLedger ledger,
      TargetLink link,
      SentMemory memory,
      @Nullable PageRehearsal pages,
      ControlRehearsal control)
      throws IOException, InterruptedException, CommandFailure {
    ImageDigest sent = memory.begin(guest.image());
    requireTarget(link.peer());
    journal.peer(link.peer());
    STORY.info("Moving guest {} to {}, migration {}.", guest.name(), link.peer(), id);
    long naming = System.nanoTime();
    ledger.update(MigrationFields.withPeerName(ledger.fields(), link.peer().name()));
    long named = System.nanoTime();
    Accepted accepted = link.offer(offer(guest, link), target.introduction());
    if (pages != null) {
      pages.close();
    }
    control.await();

    long recording = System.nanoTime();
    ledger.record(LedgerState.STREAMING);
    // The quicker of two: the first writes through code that never ran before.
    long ledgerNanos = Math.min(named - naming, System.nanoTime() - recording);
    SwitchoverCost cost = new SwitchoverCost(settings.stateDirectory(), guest.name());
    long fixed = cost.estimateNanos(accepted.startCostMicros(), link.roundTripNanos(), ledgerNanos);

    if (!zstdIsNeededAtOnce()) {
      linkZstd();
    }
    Pacer pacer = new Pacer(settings.bandwidth());
    WarmStart warm = warmStart(guest, link);
    try (RoundSender rounds =
        new RoundSender(
            link,
            guest.image(),
            guest::gone,
            sent,
            pacer,
            encodings(guest, link, warm),
            warm,
            deduplication(link),
            progress)) {
      Course course =
          new Course(
              guest,
              ledger,
              link,
              memory,
              rounds,
              pacer,
              accepted.faultToken() != null,
              accepted.granulePages());
      Switchover.Parts parts =
          switch (settings.mode()) {
            case STOP_AND_COPY -> stopAndCopy(course);
            case POSTCOPY -> postCopyAtOnce(course);
            case PRECOPY, HYBRID -> preCopy(course, fixed);
          };
      ledger.record(LedgerState.COMPLETED);
      cost.remember(parts.fixedNanos());
      link.send(new Goodbye());
    }
  }

  private static PageRehearsal rehearsePages() {
    return PageRehearsal.begin(LowPriority.threads("page-rehearsal"));
  }

  /** Not where it may be chosen later, beside the first round. */
  private boolean zstdIsNeededAtOnce() {
    return settings.slowLink() || settings.compress() == Compression.ZSTD || !rounds();
  }

  private void linkZstd() {
    if (settings.compress() == Compression.AUTO || settings.compress() == Compression.ZSTD) {
      PageCodec.linkZstd();
    }
  }

  /** What the user wants and the target can do. */
  private PageEncodings encodings(SourceGuest guest, TargetLink link, @Nullable WarmStart warm) {
    return new PageEncodings(
        settings.zeroRuns() && link.has(Capabilities.ZERO_RUNS),
        settings.compress().codecs(link),
        bases(guest, link),
        warm == null ? null : warm.pages(),
        settings.slowLink());
  }

  /**
   * For a guest whose memory is sent in rounds while it runs; null if the target is not asked. One
   * that stands still meanwhile is not kept waiting for an answer.
   */
  private @Nullable WarmStart warmStart(SourceGuest guest, TargetLink link) {
    return rounds() && settings.warm() != Warm.OFF && link.has(Capabilities.KNOWN)
        ? new WarmStart(
            settings.warm(),
            link,
            ImageReread.layout(guest.image().regions()),
            settings.bandwidth())
        : null;
  }

  /** Whether the target is to look for what pages hold; null if not. */
  private @Nullable Supplier<Deduplication> deduplication(TargetLink link) {
    return settings.mode() != MigrationMode.POSTCOPY
            && settings.dedup() != Dedup.OFF
            && link.has(Capabilities.REFERENCE)
        ? () ->
            new Deduplication(
                settings.dedup() == Dedup.ON, settings.bandwidth(), link.data().size())
        : null;
  }

  private boolean rounds() {
    return settings.mode() == MigrationMode.PRECOPY || settings.mode() == MigrationMode.HYBRID;
  }

  /** Where pages that are sent again find what the target has of them; null for no deltas. */
  private @Nullable BaseCache bases(SourceGuest guest, TargetLink link) {
    long bytes = settings.deltaCacheBytes(guest.memoryBytes());
    if (!rounds() || bytes == 0 || !link.has(Capabilities.DELTA)) {
      return null;
    }
    BaseCache bases = new BaseCache(ImageReread.layout(guest.image().regions()), bytes);
    journal.deltaCache(bases.bytes());
    return bases;
  }

  /**
   * What one attempt to move the guest works with.
   *
   * @param mayPostcopy whether the target is ready for it
   * @param granulePages in what portions pages can be missing there
   */
  private record Course(
      SourceGuest guest,
      OwnershipLedger ledger,
      TargetLink link,
      SentMemory memory,
      RoundSender rounds,
      Pacer pacer,
      boolean mayPostcopy,
      int granulePages) {}

  private Switchover.Parts stopAndCopy(Course course)
      throws IOException, InterruptedException, CommandFailure {
    course.guest().requireItsMemory();
    describe(course, "all of it while the guest stands still");
    GuestImage image = course.guest().image();
    return switchover(course, () -> course.rounds().everything(image))
        .run(1, settings.verifyFull());
  }

  private Switchover.Parts preCopy(Course course, long fixedCostNanos)
      throws IOException, InterruptedException, CommandFailure {
    SourceGuest guest = course.guest();
    DirtyTracker tracker = guest.track(settings.tracking(), course.memory().digest()::differs);
    journal.tracking(tracker.name());
    describe(course, "dirty pages by " + tracker.name());
    OnStall onStall = onStall(course);
    journal.precopyBegins();
    DirtyPages dirty = new DirtyPages(guest.regionPages());
    PreCopy.Result result;
    // What later rounds and the switchover do with a page, while the first one goes.
    try (PageRehearsal _ = rehearsePages()) {
      result =
          new PreCopy(
                  guest,
                  tracker,
                  course.rounds(),
                  roundRule(guest),
                  onStall,
                  settings.holdBack(),
                  wish,
                  journal,
                  progress)
              .run(fixedCostNanos, dirty);
    }
    SwitchedBy early =
        settings.mode() == MigrationMode.HYBRID && result.switchedBy() == null
            ? SwitchedBy.PLAN
            : result.switchedBy();
    if (early != null) {
      UnsentPages unsent = new UnsentPages(guest.regionPages(), course.granulePages());
      dirty.drainTo(unsent::mark);
      return postCopy(course, result.rounds() + 1, unsent, tracker::collect, early);
    }
    wish.refuse("too late: the guest is being handed over");
    Switchover.Remainder rest =
        () -> {
          tracker.collect(dirty::mark);
          return course.rounds().of(dirty);
        };
    return switchover(course, rest).run(result.rounds() + 1, settings.verifyFull());
  }

  private OnStall onStall(Course course) {
    if (course.mayPostcopy()) {
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

  private Switchover.Parts postCopyAtOnce(Course course)
      throws IOException, InterruptedException, CommandFailure {
    course.guest().requireItsMemory();
    describe(course, "the guest first and its pages as it touches them");
    long[] regionPages = course.guest().regionPages();
    UnsentPages unsent = new UnsentPages(regionPages);
    for (int region = 0; region < regionPages.length; region++) {
      unsent.mark(region, 0, regionPages[region]);
    }
    return postCopy(course, 1, unsent, consumer -> {}, SwitchedBy.PLAN);
  }

  private Switchover.Parts postCopy(
      Course course, int round, UnsentPages unsent, PostCopySwitch.Stale stale, SwitchedBy why)
      throws IOException, InterruptedException {
    SourceGuest guest = course.guest();
    OwnershipLedger ledger = course.ledger();
    journal.switchedBy(why);
    wish.refuse("it is in post-copy already");
    PostCopy.Manner manner =
        new PostCopy.Manner(settings.push(), course.pacer(), settings.compress());
    try (PostCopy postcopy =
        new PostCopy(
            course.link(),
            round,
            guest.image(),
            course.memory().digest(),
            unsent,
            manner,
            progress,
            journal)) {
      Switchover.Parts parts =
          new PostCopySwitch(guest, course.link(), ledger, cancellation, journal, progress)
              .run(postcopy, round, unsent, stale, PostCopyFields.add(ledger.fields(), settings));
      cancellation.beginServing();
      STORY.info(
          "Guest {} runs on the target after {} ms; {} MiB of its memory follow.",
          guest.name(),
          "%.1f".formatted(Objects.requireNonNull(journal.downtimeMillis())),
          (unsent.count() * 4096) >> 20);
      HoldPoint.reached("serving");
      course
          .memory()
          .settled(postcopy.run(course.rounds(), () -> course.memory().whole(guest.image())));
      return parts;
    }
  }

  private Switchover switchover(Course course, Switchover.Remainder remainder) {
    return new Switchover(
        course.guest(),
        remainder,
        course.rounds(),
        course.link(),
        course.ledger(),
        course.memory().digest(),
        cancellation,
        journal,
        progress);
  }

  private void describe(Course course, String how) {
    STORY.info(
        "{} MiB of memory in {} region(s), {} data channel(s), {}.",
        course.guest().memoryBytes() >> 20,
        course.guest().image().regions().size(),
        course.link().data().size(),
        how);
  }

  /** Any agent of our authority could have answered there. */
  private void requireTarget(PeerIdentity peer) throws PeerLostException {
    String wanted = settings.targetName();
    if (wanted != null && !wanted.equals(peer.name())) {
      throw new PeerLostException(
          PeerLostException.Kind.TLS_REFUSED,
          "%s is '%s', not '%s' as --target-name demands"
              .formatted(peer.hostAndPort(), peer.name(), wanted));
    }
  }

  private Offer offer(SourceGuest guest, TargetLink link) {
    List<RegionOffer> regions =
        guest.image().regions().stream()
            .map((ImageRegion region) -> new RegionOffer(region.name(), region.bytes()))
            .toList();
    return new Offer(
        id,
        guest.name(),
        settings.mode(),
        postcopyWish(),
        regions,
        Math.min(settings.dataChannels(), link.limits().maxDataChannels()),
        // In post-copy the guest changes the other image while this one is compared.
        settings.verifyFull() && !isPostcopyPlanned(),
        settings.downtimeLimit().toNanos() / 1000,
        Offer.machineOf(guest.machine()));
  }

  private boolean isPostcopyPlanned() {
    return settings.mode() == MigrationMode.POSTCOPY || settings.mode() == MigrationMode.HYBRID;
  }

  private PostcopyWish postcopyWish() {
    if (isPostcopyPlanned()) {
      return PostcopyWish.REQUIRED;
    }
    if (settings.mode() != MigrationMode.PRECOPY || settings.onStall() != OnStall.POSTCOPY) {
      return PostcopyWish.NO;
    }
    return settings.insistOnPostcopy() ? PostcopyWish.REQUIRED : PostcopyWish.IF_POSSIBLE;
  }

  private RoundRule roundRule(SourceGuest guest) {
    if (settings.mode() == MigrationMode.HYBRID) {
      return new HybridRounds(settings.maxRounds());
    }
    return new Convergence(
        new Convergence.Limits(
            settings.maxRounds(),
            settings.maxSentRatio(),
            settings.dirtyThreshold(),
            settings.downtimeLimit().toNanos(),
            guest.memoryBytes()));
  }

  private static CommandFailure movedDifferently(SourceGuest guest, OwnershipLedger ledger) {
    LedgerEnd.released(ledger);
    return new CommandFailure(
        ExitCode.FAILED,
        "what arrived on the target is not what was sent, found out when guest %s ran there"
                .formatted(guest.name())
            + " already: it still does, and the copy here, as it was when it left, was kept and"
            + " stays paused");
  }

  /** The guest runs on the target; the paused copy here is of no more use. */
  private void release(SourceGuest guest, OwnershipLedger ledger) {
    progress.phase("completed");
    guest.stopTracking();
    Double downtime = journal.downtimeMillis();
    STORY.info(
        "Guest {} runs on the target{}.",
        guest.name(),
        downtime == null ? "" : "; it stood still for %.1f ms".formatted(downtime));
    if (guest.description().afterwards() == Afterwards.QUIT) {
      try {
        DepartedImage.quit(guest.control(), ledger, guest.name(), guest.image(), settings.copies());
      } catch (IOException e) {
        STORY.warn(
            "The paused guest here did not end ({}) and keeps its memory: try again with '{}'.",
            e.getMessage(),
            RecoverCommand.of(id, settings.stateDirectory()));
        return;
      }
    }
    LedgerEnd.released(ledger);
  }
}
