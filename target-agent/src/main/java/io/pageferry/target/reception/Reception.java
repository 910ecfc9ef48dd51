package io.pageferry.target.reception;

import io.pageferry.agent.cli.HoldPoint;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.message.Switch;
import io.pageferry.protocol.page.ImageLayout;
import io.pageferry.protocol.page.PageBatch;
import io.pageferry.target.MigrationAborted;
import io.pageferry.target.admission.Preflight;
import io.pageferry.target.content.GuestContents;
import io.pageferry.target.content.SharedContents;
import io.pageferry.target.incoming.IncomingGuest;
import io.pageferry.target.incoming.IncomingMemory;
import io.pageferry.target.incoming.PopulatedPages;
import java.io.IOException;
import java.time.Duration;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One migration, from its offer to a guest that runs here or to nothing left behind. */
public final class Reception extends Arrival {
  private static final Logger LOG = LoggerFactory.getLogger(Reception.class);

  private final Offer offer;
  private final SourceLink link;
  private final SourceLine line;
  private final Preflight preflight;
  private final ReceptionLimits limits;
  private final StartCosts startCosts;
  private final ReceptionMeters meters;
  private final SharedContents shared;
  private final Logger story;

  // The driver's own.
  private @Nullable IncomingGuest guest;
  private @Nullable LandingPlace place;
  private @Nullable MissingMemory missing;
  private @Nullable Handover handover;
  private @Nullable Recollection recollection;
  private @Nullable GuestContents contents;
  private boolean unserved;
  private boolean switchedOver;
  private @Nullable Retake successor;

  /**
   * @param control the channel the offer came by; this reception closes it
   * @param conversation the state of that channel, the offer included
   * @param capabilities what both sides can do
   * @param shared where its pages may be found
   */
  public Reception(
      Offer offer,
      PeerChannel control,
      TargetConversation conversation,
      Capabilities capabilities,
      Preflight preflight,
      ReceptionLimits limits,
      StartCosts startCosts,
      ReceptionMeters meters,
      SharedContents shared,
      Logger story) {
    super(
        offer.migration(),
        offer.guest(),
        control.peer().name() + " at " + control.peer().hostAndPort(),
        offer.regions().stream().mapToLong(RegionOffer::bytes).sum());
    this.offer = offer;
    this.link = new SourceLink(control, conversation, capabilities, inbox);
    this.line = link.line();
    this.preflight = preflight;
    this.limits = limits;
    this.startCosts = startCosts;
    this.meters = meters;
    this.shared = shared;
    this.story = story;
  }

  @Override
  public void run() {
    meters.began(landed);
    String outcome = "failed";
    try {
      preflight();
      outcome = moveIn();
    } catch (MigrationAborted e) {
      outcome = e.reason().refusal() && guest == null ? "refused" : "aborted";
      giveUp(e, true);
    } catch (SourceLost e) {
      outcome = "aborted";
      giveUp(new MigrationAborted(e.reason(), String.valueOf(e.getMessage()), e), e.byViolation());
    } catch (InterruptedException e) {
      giveUp(new MigrationAborted(AbortReason.SHUTTING_DOWN, "the agent is stopped", e), true);
      Thread.currentThread().interrupt();
    } catch (RuntimeException | Error e) {
      LOG.error("migration {} failed by a defect", offer.migration(), e);
      giveUp(
          new MigrationAborted(AbortReason.INTERNAL, "the target failed by a defect: " + e, e),
          true);
    } finally {
      letGo();
      meters.ended(outcome, landed);
    }
  }

  // ---- The phases, in order ----

  private void preflight() throws MigrationAborted, InterruptedException {
    progress.phase("preflight");
    PeerIdentity source = link.control().peer();
    story.info(
        "migration {}: {} offers guest '{}', {} in {} region(s), {}",
        offer.migration(),
        source.name() + " at " + source.hostAndPort(),
        offer.guest(),
        progress.memoryText(),
        offer.regions().size(),
        source.tlsProtocol() + " " + source.tlsGroup());
    long began = System.nanoTime();
    IncomingGuest admitted = preflight.admit(offer, source, link.capabilities());
    guest = admitted;
    admitted
        .process()
        .launched()
        .ifPresent(
            launch ->
                launch.onEnd(
                    () ->
                        inbox.put(
                            new ReceptionEvent.GuestEnded(
                                "the guest launched on the target ended" + launch.lastWords()))));
    IncomingMemory memory = admitted.memory();
    ImageLayout layout = layout(offer);
    EarlierPages earlier = memory.earlierPages().isPresent() ? new EarlierPages(layout) : null;
    GuestContents found = contents(admitted, source);
    contents = found;
    LandingPlace landing = new LandingPlace(layout, memory.image().orElse(null), earlier, found);
    place = landing;
    recollection =
        new Recollection(
            memory.image().orElse(null),
            memory.earlierPages().orElse(null),
            earlier,
            link.conversation(),
            link.control());
    missing = new MissingMemory(admitted, landing.layout(), landing, new FaultLine(inbox, meters));
    PageChannels channels =
        link.openChannels(offer.dataChannels(), admitted.faults().held(), landing, limits, landed);
    open(link);
    story.info(
        "guest '{}': memory {}, guest {}{} in {} ms",
        offer.guest(),
        offer.mode() == MigrationMode.POSTCOPY
            ? "there"
            : memory
                .earlierPages()
                .map(
                    pages ->
                        "reserved, with %d MiB of an earlier time"
                            .formatted((pages.count() * PageBatch.PAGE_BYTES) >> 20))
                .orElse("reserved"),
        admitted
            .process()
            .launched()
            .map(l -> "launched as process " + l.handle().pid())
            .orElse("reached"),
        admitted.faults().comeAtLoad()
            ? ", its page faults waited for"
            : admitted.faults().held() ? ", its page faults taken over" : "",
        (System.nanoTime() - began) / 1_000_000);
    handover = new Handover(offer, admitted, line, limits, progress, story);
    if (admitted.faults().held()) {
      FaultRehearsal.run();
    }
    HoldPoint.reached("reserved");
    // Else the source would begin to send, and learn of it then.
    admitted.process().requireAlive();
    line.open();
    long cost = startCosts.of(offer.guest());
    byte[] faultToken = channels.faultToken();
    line.send(
        faultToken == null
            ? new Accepted(channels.tokens(), cost)
            : new Accepted(
                channels.tokens(), cost, faultToken, memory.granuleBytes() / PageBatch.PAGE_BYTES));
  }

  /** Where its pages may be found; null where nobody asks, or it cannot be told. */
  private @Nullable GuestContents contents(IncomingGuest admitted, PeerIdentity source) {
    GuestImage image = admitted.memory().image().orElse(null);
    if (image == null
        || offer.mode() == MigrationMode.POSTCOPY
        || !link.capabilities().has(Capabilities.REFERENCE)) {
      return null;
    }
    try {
      return shared.arriving(source.name(), image.regions());
    } catch (IOException e) {
      LOG.warn("no page of guest '{}' is looked for: {}", offer.guest(), e.getMessage());
      return null;
    }
  }

  /**
   * Takes in the rounds, hands the guest over, and goes on until the source knows.
   *
   * @return how it ended, for the meters
   */
  private String moveIn() throws MigrationAborted, SourceLost, InterruptedException {
    progress.phase("receiving");
    PageChannels channels = link.openedChannels();
    Handover last = Objects.requireNonNull(handover);
    LandingPlace landing = Objects.requireNonNull(place);
    RoundIntake intake =
        new RoundIntake(
            offer.guest(),
            line,
            channels,
            Objects.requireNonNull(missing),
            limits,
            progress,
            meters,
            landed,
            Objects.requireNonNull(recollection),
            story);
    last.expect();
    intake.run();
    Switch switched = intake.switched();
    if (switched != null) {
      return moveInBeforeItsPages(switched, intake.deviceState());
    }
    last.prepare(intake.digest(), landing.digest(), intake.deviceState(), landing.layout());
    last.awaitCommit();
    takeOver(last);
    Objects.requireNonNull(guest).memory().forgetCopies();
    last.awaitGoodbye(landed);
    return "completed";
  }

  private void takeOver(Handover last) throws MigrationAborted, InterruptedException {
    long cost = last.takeOver(() -> settled.complete(OwnershipState.TAKEN_OVER));
    startCosts.remember(offer.guest(), cost);
    meters.tookOver(cost);
  }

  private String moveInBeforeItsPages(Switch switched, byte[] deviceState)
      throws MigrationAborted, InterruptedException {
    switchedOver = true;
    IncomingGuest held = Objects.requireNonNull(guest);
    Handover last = Objects.requireNonNull(handover);
    MissingMemory rest = Objects.requireNonNull(missing);
    last.prepareToFetch(switched, offer.dataChannels(), rest, link.openedChannels(), deviceState);
    last.awaitCommit();
    boolean started = false;
    boolean linked = !last.pagesCutOff();
    try {
      takeOver(last);
      held.memory().forgetCopies();
      started = true;
    } catch (MigrationAborted e) {
      if (held.ledger().current() != LedgerState.TAKEN_OVER) {
        throw e;
      }
      if (e.reason() == AbortReason.GUEST_ENDED) {
        return buried(held, rest, e);
      }
      // It is this host's guest, and the source has what it needs: it is started when it can be.
      story.warn("{}", e.sentence());
      linked = false;
    }
    // Not before: until it was to start, it may have to be given back.
    allowResume();
    if (!linked) {
      link.letGo();
    }
    Fetching fetching =
        new Fetching(
            offer.migration(),
            held,
            rest,
            Objects.requireNonNull(place),
            true,
            offer.dataChannels(),
            switched.round(),
            inbox,
            landed,
            limits,
            progress,
            meters,
            story);
    Fetching.Outcome outcome = fetching.run(linked ? link : null, started, this::open);
    if (outcome == Fetching.Outcome.GUEST_ENDED) {
      bury(held, rest, fetching.lastWords());
    }
    unserved = outcome == Fetching.Outcome.UNSERVED;
    return outcome.word();
  }

  /** A guest that may have run here for a moment: the source hears no more than that. */
  private String buried(IncomingGuest held, MissingMemory rest, MigrationAborted why) {
    story.warn("migration {} of guest '{}': {}", offer.migration(), offer.guest(), why.sentence());
    bury(held, rest, why.sentence());
    tell(why, true);
    return Fetching.Outcome.GUEST_ENDED.word();
  }

  private void bury(IncomingGuest held, MissingMemory rest, String lastWords) {
    rest.close();
    held.bury(lastWords);
    guest = null;
  }

  private static ImageLayout layout(Offer offer) {
    return new ImageLayout(
        offer.regions().stream()
            .map(
                region ->
                    new ImageLayout.Region(region.name(), region.bytes() / PageBatch.PAGE_BYTES))
            .toList());
  }

  // ---- How it ends otherwise ----

  private void giveUp(MigrationAborted why, boolean tellSource) {
    progress.phase("ending");
    meters.aborted(why.reason());
    story.warn("migration {} of guest '{}': {}", offer.migration(), offer.guest(), why.sentence());
    IncomingGuest held = guest;
    if (held == null) {
      settled.complete(OwnershipState.UNKNOWN);
      tell(why, tellSource);
      return;
    }
    LedgerState state = held.ledger().current();
    if (state == LedgerState.TAKEN_OVER || state == LedgerState.COMPLETED) {
      // It is this host's guest now, whatever went wrong since: the ledger tells the sweep.
      tell(why, tellSource);
      return;
    }
    boolean renounced = state == LedgerState.ABANDONED || held.renounce();
    if (renounced) {
      settled.complete(OwnershipState.ABANDONED);
    } else if (handover != null && handover.committed()) {
      // Nobody can say what the disk holds. The guest stays as it is, paused, until it can be read.
      settled.completeExceptionally(new IOException("the target's ledger cannot be written"));
      tell(why, tellSource);
      return;
    }
    tell(why, tellSource);
    link.closeChannels();
    closeRecollection();
    if (missing != null) {
      missing.abandon();
    }
    boolean kept = false;
    try {
      kept = keepCopy(why, held.memory());
    } catch (RuntimeException e) {
      LOG.warn("what came of guest '{}' cannot be kept", offer.guest(), e);
    } finally {
      held.remove();
      guest = null;
    }
    story.info(
        "guest '{}': nothing of it is left here{}",
        offer.guest(),
        kept ? " but a copy of what had come" : "");
  }

  /** What has come may come again, unless it is the reason for the failure. */
  private boolean keepCopy(MigrationAborted why, IncomingMemory memory) {
    LandingPlace landing = place;
    if (landing == null
        || !memory.mayKeepCopy()
        || switchedOver
        || offer.mode() == MigrationMode.POSTCOPY
        || why.reason() == AbortReason.DIGEST_MISMATCH
        || why.reason() == AbortReason.PROTOCOL_VIOLATION
        || why.reason() == AbortReason.CORRUPT_FRAME) {
      return false;
    }
    PopulatedPages content = landing.content();
    return (content.count() > 0 || memory.earlierPages().isPresent()) && memory.keepCopy(content);
  }

  private void tell(MigrationAborted why, boolean tellSource) {
    if (tellSource) {
      link.control().send(new Abort(why.reason(), why.sentence()));
    }
  }

  private void closeRecollection() {
    if (recollection != null) {
      recollection.close();
    }
  }

  private void letGo() {
    refuseResume();
    link.close();
    closeLink();
    closeRecollection();
    if (missing != null) {
      missing.close();
    }
    if (place != null) {
      place.close();
    }
    if (contents != null && guest != null) {
      contents.arrived();
    } else if (contents != null) {
      contents.gone();
    }
    if (guest != null) {
      if (unserved) {
        guest.letGo();
        successor = new Retake(guest.ledger(), Duration.ZERO, limits, meters, story);
      } else {
        guest.keep();
      }
    }
    settled.complete(OwnershipState.UNKNOWN);
  }

  @Override
  public @Nullable Retake successor() {
    return successor;
  }
}
