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
import io.pageferry.guest.units.TimeSpan;
import io.pageferry.protocol.channel.PeerAbortedException;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.channel.PeerLostException;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.PostcopyWish;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.page.BaseCache;
import io.pageferry.protocol.page.Digest;
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
import java.util.Optional;
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
  private final Cancellation cancellation;
  private final SwitchWish wish;
  private final MigrationProgress progress;
  private final MigrationJournal journal;

  /** Of what was sent; the driver's, null before there is a connection. */
  private @Nullable ImageDigest digest;

  /** Whether the target has heard, as far as can be known, that the guest stays here. */
  private boolean told;

  /** Whether, after post-copy, the target has something else than what is here. */
  private boolean differs;

  /**
   * @param recovery how {@code source recover} reaches the target again
   */
  Migration(
      UUID id,
      MigrationSettings settings,
      TargetPlace target,
      Map<String, String> recovery,
      Cancellation cancellation,
      SwitchWish wish,
      MigrationProgress progress,
      MigrationJournal journal) {
    this.id = id;
    this.settings = settings;
    this.target = target;
    this.recovery = recovery;
    this.cancellation = cancellation;
    this.wish = wish;
    this.progress = progress;
    this.journal = journal;
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
    try (SourceGuest guest = SourceGuest.open(description, id);
        OwnershipLedger ledger = beginLedger(guest)) {
      journal.guest(guest.name(), guest.memoryBytes());
      progress.guest(guest.name(), guest.memoryBytes() / 4096);
      try {
        move(guest, ledger);
      } catch (CommandFailure | IOException | InterruptedException | RuntimeException e) {
        settleAfter(e, guest, ledger);
      } catch (Error e) {
        // No memory, a class that cannot be loaded: a defect, but the guest may stand paused.
        settleAfter(new IllegalStateException(e.toString(), e), guest, ledger);
      }
      release(guest, ledger);
    } catch (LedgerException e) {
      throw new CommandFailure(
          ExitCode.FAILED,
          "%s; the guest was not touched and runs on here".formatted(e.getMessage()),
          e);
    } finally {
      if (digest != null) {
        digest.close();
      }
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

  private void move(SourceGuest guest, OwnershipLedger ledger)
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
        ImageDigest sent = new ImageDigest(ImageReread.layout(guest.image().regions()));
        digest = sent;
        drive(guest, ledger, link, sent, pages, control);
      } catch (CommandFailure | IOException | InterruptedException | RuntimeException e) {
        tell(link, e, guest, ledger);
        throw e;
      }
    }
  }

  private void drive(
      SourceGuest guest,
      OwnershipLedger ledger,
      TargetLink link,
      ImageDigest sent,
      @Nullable PageRehearsal pages,
      ControlRehearsal control)
      throws IOException, InterruptedException, CommandFailure {
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
              sent,
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
      ImageDigest digest,
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
    DirtyTracker tracker = guest.track(settings.tracking(), course.digest()::differs);
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
            course.digest(),
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
      settled(postcopy.run(course.rounds(), () -> wholeDigest(guest)));
      return parts;
    }
  }

  /**
   * Of the image, which nothing changes any more. A write that was missed is no reason to break
   * off: the guest runs there already, and no further attempt finds anything else.
   */
  private Digest wholeDigest(SourceGuest guest) throws IOException {
    Digest sent = Objects.requireNonNull(digest).value();
    if (!settings.verifyFull()) {
      return sent;
    }
    Digest reread = ImageReread.digest(guest.image());
    if (!reread.equals(sent)) {
      STORY.error("The guest's memory here is not what was sent: a write to it was missed.");
      differs = true;
    }
    return reread;
  }

  private void settled(Settled said) {
    journal.settled(said);
    differs |= said.comparison() == Comparison.DIFFERENT;
    if (said.comparison() == Comparison.UNKNOWN) {
      STORY.info("The target has every page; it cannot say whether all of them are as sent.");
    }
  }

  private Switchover switchover(Course course, Switchover.Remainder remainder) {
    return new Switchover(
        course.guest(),
        remainder,
        course.rounds(),
        course.link(),
        course.ledger(),
        course.digest(),
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

  /** Before the hand-over the target is told at once: it holds memory and a waiting guest. */
  private void tell(TargetLink link, Exception failure, SourceGuest guest, OwnershipLedger ledger) {
    LedgerState state = ledger.current();
    if (state != LedgerState.HANDED_OVER
        && state != LedgerState.SERVING
        && state != LedgerState.COMPLETED) {
      Verdict verdict = verdict(failure, guest, ledger);
      told = link.abort(verdict.reason(), verdict.sentence());
    }
  }

  private Verdict verdict(Exception failure, SourceGuest guest, OwnershipLedger ledger) {
    return Verdict.of(
        failure,
        Objects.requireNonNullElse(cancellation.wish(), "an interrupt"),
        guest.gone(),
        ledger.current() != LedgerState.PLANNED);
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

  /** Returns normally if the guest turns out to have moved after all. */
  private void settleAfter(Exception failure, SourceGuest guest, OwnershipLedger ledger)
      throws CommandFailure {
    cancellation.ignoreFromNowOn(
        switch (ledger.current()) {
          case COMPLETED -> "the guest has moved";
          case HANDED_OVER -> "the target is being asked whether it took the guest over";
          case SERVING -> "the guest runs on the target";
          default -> "the guest is being put back here";
        });
    switch (ledger.current()) {
      case COMPLETED -> STORY.warn("The guest has moved; saying goodbye failed.", failure);
      case HANDED_OVER -> settleOwnership(failure, guest, ledger);
      case SERVING -> serveOn(failure, guest, ledger);
      default -> throw putBack(failure, guest, ledger);
    }
  }

  private CommandFailure putBack(Exception failure, SourceGuest guest, OwnershipLedger ledger) {
    boolean unheard =
        (ledger.current() == LedgerState.PAUSED || ledger.current() == LedgerState.RECLAIMED)
            && !told
            && !(failure instanceof PeerAbortedException);
    CommandFailure ended = Retreat.putBack(guest, ledger, verdict(failure, guest, ledger), failure);
    if (unheard) {
      // It may be ready, and then keeps the guest's memory for as long as a word may come.
      try {
        settlement(ledger).withdraw(id, Settlement.WITHDRAWAL);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    return ended;
  }

  private Settlement settlement(OwnershipLedger ledger) {
    return new Settlement(target, MigrationFields.peerName(ledger.fields()));
  }

  private void settleOwnership(Exception failure, SourceGuest guest, OwnershipLedger ledger)
      throws CommandFailure {
    STORY.warn(
        "The hand-over was not confirmed ({}); the guest stays paused until the target's ledger"
            + " says whose it is.",
        failure.getMessage());
    progress.phase("settling ownership");
    Optional<LedgerState> settled;
    try {
      // A target that gave up as its last word does not start the guest later.
      settled =
          settlement(ledger)
              .settle(ledger, settings.settleFor(), !(failure instanceof PeerAbortedException));
    } catch (InterruptedException | IOException e) {
      failure.addSuppressed(e);
      settled = Optional.empty();
    }
    if (settled.isEmpty()) {
      throw new CommandFailure(
          ExitCode.RECOVERABLE,
          "%s after the guest was handed over, and the target does not say whether it took it:"
                  .formatted(failure.getMessage())
              + " guest %s stays paused here; continue with '%s'"
                  .formatted(guest.name(), RecoverCommand.of(id, settings.stateDirectory())),
          failure);
    }
    if (settled.get() == LedgerState.RECLAIMED) {
      Verdict verdict =
          new Verdict(
              ExitCode.FAILED,
              AbortReason.INTERNAL,
              "%s; the target gave the guest back".formatted(failure.getMessage()));
      throw Retreat.putBack(guest, ledger, verdict, failure);
    }
    if (settled.get() == LedgerState.SERVING) {
      serveOn(failure, guest, ledger);
      return;
    }
    if (settled.get() == LedgerState.HANDED_OVER) {
      // The copy here may be the only one left, and is not ended by a program.
      String recover = RecoverCommand.of(id, settings.stateDirectory());
      throw new CommandFailure(
          ExitCode.RECOVERABLE,
          failure instanceof PeerAbortedException said && said.reason() == AbortReason.GUEST_ENDED
              ? failure.getMessage() + EndedThere.keptFor(recover)
              : "%s; guest %s belongs to the target, which took it over and has not started it: %s,"
                      .formatted(
                          failure.getMessage(),
                          guest.name(),
                          Settlement.howToStartThere(ledger.fields()))
                  + " then '%s' here; the copy here was kept and stays paused, and '%s --force'"
                      .formatted(recover, recover)
                  + " lets it run on if the guest's process there has ended",
          failure);
    }
    STORY.info("The target's ledger says that it took the guest over.");
  }

  /** The guest runs on the target and needs pages from here; returns when it has them. */
  private void serveOn(Exception failure, SourceGuest guest, OwnershipLedger ledger)
      throws CommandFailure {
    STORY.warn(
        "The connection was lost ({}); guest {} runs on the target until it needs a page that is"
            + " only here. Trying to reach the target again for {}.",
        failure.getMessage(),
        guest.name(),
        TimeSpan.format(settings.recoverFor()));
    try {
      new Resumption(
              target, MigrationFields.peerName(ledger.fields()), cancellation, progress, journal)
          .run(
              new Resumption.Remains(
                  ledger, guest.image(), Objects.requireNonNull(digest), () -> wholeDigest(guest)),
              new PostCopy.Manner(
                  settings.push(), new Pacer(settings.bandwidth()), settings.compress()),
              settings.recoverFor())
          .ifPresentOrElse(this::settled, journal::allThere);
    } catch (GuestEndedThereException e) {
      if (!e.knownToHaveRun()) {
        throw new CommandFailure(
            ExitCode.RECOVERABLE,
            EndedThere.unseen(guest.name(), "the target", e)
                + EndedThere.keptFor(RecoverCommand.of(id, settings.stateDirectory())),
            e);
      }
      throw EndedThere.afterItRan(ledger, "the target", e);
    } catch (InterruptedException | IOException | RuntimeException e) {
      failure.addSuppressed(e);
      throw new CommandFailure(
          ExitCode.RECOVERABLE,
          "the target is lost (%s) and %s: guest %s is the target's and waits there as soon as it"
                  .formatted(
                      failure.getMessage(),
                      e instanceof InterruptedException
                          ? "the attempts to reach it again were called off"
                          : "could not be reached again",
                      guest.name())
              + " needs a page that is only here; keep the paused copy and continue with '%s'"
                  .formatted(RecoverCommand.of(id, settings.stateDirectory())),
          failure);
    } finally {
      cancellation.ignoreFromNowOn("the migration is ending");
    }
  }

  private void release(SourceGuest guest, OwnershipLedger ledger) throws CommandFailure {
    if (differs) {
      LedgerEnd.released(ledger);
      throw new CommandFailure(
          ExitCode.FAILED,
          "what arrived on the target is not what was sent, found out when guest %s ran there"
                  .formatted(guest.name())
              + " already: it still does, and the copy here, as it was when it left, was kept and"
              + " stays paused");
    }
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
