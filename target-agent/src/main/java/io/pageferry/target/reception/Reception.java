package io.pageferry.target.reception;

import io.pageferry.agent.cli.HoldPoint;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.local.MigrationStatus;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.conversation.TargetConversation;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.Welcome;
import io.pageferry.protocol.page.ImageLayout;
import io.pageferry.protocol.page.PageBatch;
import io.pageferry.target.MigrationAborted;
import io.pageferry.target.admission.Preflight;
import io.pageferry.target.incoming.IncomingGuest;
import java.io.IOException;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One migration, from its offer to a guest that runs here or to nothing left behind.
 *
 * <p>{@link #run} is the driver: one thread, which alone talks to the source on the control
 * channel, alone writes the ledger and alone decides. Everything else that happens reaches it
 * through its inbox. The other public methods may be called by any thread.
 */
public final class Reception implements Runnable {
  private static final Logger LOG = LoggerFactory.getLogger(Reception.class);

  private final Offer offer;
  private final PeerChannel control;
  private final Preflight preflight;
  private final TargetConversation conversation;
  private final Capabilities capabilities;
  private final ReceptionLimits limits;
  private final StartCosts startCosts;
  private final ReceptionMeters meters;
  private final Logger story;

  private final ReceptionInbox inbox = new ReceptionInbox();
  private final LandedPages landed = new LandedPages();
  private final SourceLine line;
  private final ReceptionProgress progress;

  /** Completed as soon as it is on disk who owns the guest. */
  private final CompletableFuture<OwnershipState> settled = new CompletableFuture<>();

  /** Null until the source was accepted; written by the driver, read by those who join. */
  private volatile @Nullable DataChannels data;

  /** The driver's own. */
  private @Nullable IncomingGuest guest;

  private @Nullable Handover handover;

  /**
   * @param control the channel the offer came by; this reception closes it
   * @param conversation the state of that channel, the offer included
   * @param capabilities what both sides can do
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
      Logger story) {
    this.offer = offer;
    this.control = control;
    this.conversation = conversation;
    this.capabilities = capabilities;
    this.preflight = preflight;
    this.limits = limits;
    this.startCosts = startCosts;
    this.meters = meters;
    this.story = story;
    this.line = new SourceLine(control, conversation, inbox);
    this.progress = new ReceptionProgress(offer, control.peer(), landed);
  }

  @Override
  public void run() {
    meters.began(landed);
    String outcome = "failed";
    try {
      preflight();
      moveIn();
      outcome = "completed";
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
      closeChannels();
      meters.ended(outcome, landed);
    }
  }

  // ---- The phases, in order ----

  private void preflight() throws MigrationAborted, InterruptedException {
    progress.phase("preflight");
    PeerIdentity source = control.peer();
    story.info(
        "migration {}: {} offers guest '{}', {} in {} region(s), {}",
        offer.migration(),
        source.name() + " at " + source.hostAndPort(),
        offer.guest(),
        progress.memoryText(),
        offer.regions().size(),
        source.tlsProtocol() + " " + source.tlsGroup());
    long began = System.nanoTime();
    IncomingGuest admitted = preflight.admit(offer, source);
    guest = admitted;
    admitted
        .launched()
        .ifPresent(
            launch ->
                launch.onEnd(() -> inbox.put(new ReceptionEvent.GuestEnded(launch.lastWords()))));
    DataChannels channels = openData(admitted);
    data = channels;
    story.info(
        "guest '{}': memory reserved, guest {} in {} ms",
        offer.guest(),
        admitted.launched().map(l -> "launched as process " + l.handle().pid()).orElse("reached"),
        (System.nanoTime() - began) / 1_000_000);
    handover = new Handover(offer, admitted, line, limits, progress, story);
    Rehearsal.run();
    HoldPoint.reached("reserved");
    line.open();
    line.send(new Accepted(channels.tokens(), startCosts.of(offer.guest())));
  }

  private DataChannels openData(IncomingGuest admitted) throws MigrationAborted {
    try {
      return new DataChannels(
          offer.dataChannels(),
          admitted.image(),
          layout(offer),
          capabilities,
          conversation,
          control.peer(),
          limits.joinLimit(),
          inbox,
          landed);
    } catch (OutOfMemoryError e) {
      throw new MigrationAborted(
          AbortReason.NO_MEMORY,
          "the target agent has no memory left for the digest of so large a guest: give it more"
              + " with -XX:MaxDirectMemorySize",
          e);
    }
  }

  /** Takes in the rounds, hands the guest over, and waits until the source knows. */
  private void moveIn() throws MigrationAborted, SourceLost, InterruptedException {
    progress.phase("receiving");
    DataChannels channels = Objects.requireNonNull(data);
    RoundIntake intake =
        new RoundIntake(offer.guest(), line, channels, limits, progress, meters, landed, story);
    intake.run();
    Handover last = Objects.requireNonNull(handover);
    last.prepare(intake.digest(), channels.digest(), intake.deviceState(), layout(offer));
    last.awaitCommit();
    long cost = last.takeOver(() -> settled.complete(OwnershipState.TAKEN_OVER));
    startCosts.remember(offer.guest(), cost);
    meters.tookOver(cost);
    last.awaitGoodbye(landed);
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
    boolean renounced = held.renounce();
    if (renounced) {
      settled.complete(OwnershipState.ABANDONED);
    } else if (handover != null && handover.committed()) {
      // Nobody can say what the disk holds. The guest stays as it is, paused, until it can be read.
      settled.completeExceptionally(new IOException("the target's ledger cannot be written"));
      tell(why, tellSource);
      return;
    }
    tell(why, tellSource);
    closeData();
    held.remove();
    story.info("guest '{}': nothing of it is left here", offer.guest());
    guest = null;
  }

  private void tell(MigrationAborted why, boolean tellSource) {
    if (tellSource) {
      control.send(new Abort(why.reason(), why.sentence()));
    }
  }

  private void closeData() {
    DataChannels channels = data;
    if (channels != null) {
      channels.close();
    }
  }

  private void closeChannels() {
    closeData();
    if (guest != null) {
      guest.keep();
    }
    control.close();
    settled.complete(OwnershipState.UNKNOWN);
  }

  // ---- For others ----

  public UUID migration() {
    return offer.migration();
  }

  public String guestName() {
    return offer.guest();
  }

  public PeerIdentity source() {
    return control.peer();
  }

  public MigrationStatus status() {
    return progress.status();
  }

  /**
   * Lets a data channel join.
   *
   * @throws MigrationAborted BAD_TOKEN, which ends that channel and not the migration
   */
  public void join(PeerChannel channel, Hello hello, Welcome welcome) throws MigrationAborted {
    DataChannels channels = data;
    if (channels == null) {
      throw JoinTokens.refused();
    }
    channels.join(channel, hello, welcome);
  }

  /** The source wants its guest back; completes with what is then on disk. */
  public CompletableFuture<OwnershipState> reclaim() {
    inbox.put(new ReceptionEvent.ReclaimAsked());
    return settled;
  }

  /** Ends it, as far as it is not the guest's host already. */
  public void stop() {
    inbox.put(new ReceptionEvent.StopAsked());
  }

  /** Ends it by the wish of this host's user, as far as it is not the guest's host already. */
  public void cancel() {
    inbox.put(new ReceptionEvent.CancelAsked());
  }
}
