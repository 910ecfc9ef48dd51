package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.description.Afterwards;
import io.pageferry.guest.description.DescriptionException;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.channel.PeerLostException;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.page.ImageDigest;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.slf4j.Logger;

/**
 * One migration from beginning to end: the guest is opened, its ledger begun and the target asked;
 * then the guest goes its {@link Course}, and the paused copy here is ended. When it does not come
 * to that, {@link Rescue} sees to the guest.
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
  }

  /**
   * Moves the guest, or leaves it as it was.
   *
   * @throws CommandFailure with the state the guest is in
   */
  void run() throws CommandFailure {
    oversight.cancellation().drivenBy(Thread.currentThread());
    GuestDescription description;
    try {
      description = GuestDescription.load(settings.description());
    } catch (DescriptionException e) {
      throw new CommandFailure(ExitCode.USAGE, e.getMessage() + "; nothing was changed", e);
    }
    try (SentMemory memory = new SentMemory(settings.verifyFull(), oversight.journal());
        SourceGuest guest = SourceGuest.open(description, id);
        OwnershipLedger ledger = beginLedger(guest)) {
      oversight.journal().guest(guest.name(), guest.memoryBytes());
      oversight.progress().guest(guest.name(), guest.memoryBytes() / 4096);
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
        MigrationFields.begin(guest, settings, target.address(), recovery));
  }

  private void move(SourceGuest guest, OwnershipLedger ledger, SentMemory memory, Rescue rescue)
      throws IOException, InterruptedException, CommandFailure {
    try (SourceRehearsal rehearsal = SourceRehearsal.begin(settings, guest);
        TargetLink link = target.connect()) {
      try {
        drive(guest, ledger, link, memory, rehearsal);
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
      SourceRehearsal rehearsal)
      throws IOException, InterruptedException, CommandFailure {
    ImageDigest sent = memory.begin(guest.image());
    requireTarget(link.peer());
    oversight.journal().peer(link.peer());
    STORY.info("Moving guest {} to {}, migration {}.", guest.name(), link.peer(), id);
    long naming = System.nanoTime();
    ledger.update(MigrationFields.withPeerName(ledger.fields(), link.peer().name()));
    long named = System.nanoTime();
    Accepted accepted = link.offer(offer(guest, link), target.introduction());
    rehearsal.await();

    long recording = System.nanoTime();
    ledger.record(LedgerState.STREAMING);
    // The quicker of two: the first writes through code that never ran before.
    long ledgerNanos = Math.min(named - naming, System.nanoTime() - recording);
    SwitchoverCost cost = new SwitchoverCost(settings.stateDirectory(), guest.name());
    long fixed = cost.estimateNanos(accepted.startCostMicros(), link.roundTripNanos(), ledgerNanos);

    rehearsal.besideTheRounds();
    try (Sending sending =
        new Sending(settings, guest, link, sent, oversight.journal(), oversight.progress())) {
      Switchover.Parts parts =
          new Course(settings, guest, ledger, link, memory, sending, oversight)
              .run(accepted, fixed);
      ledger.record(LedgerState.COMPLETED);
      cost.remember(parts.fixedNanos());
      link.send(new Goodbye());
    }
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
            .map(region -> new RegionOffer(region.name(), region.bytes()))
            .toList();
    return new Offer(
        id,
        guest.name(),
        settings.mode(),
        settings.postcopyWish(),
        regions,
        Math.min(settings.dataChannels(), link.limits().maxDataChannels()),
        // In post-copy the guest changes the other image while this one is compared.
        settings.verifyFull() && !settings.isPostcopyPlanned(),
        settings.downtimeLimit().toNanos() / 1000,
        Offer.machineOf(guest.machine()));
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
    oversight.progress().phase("completed");
    guest.stopTracking();
    Double downtime = oversight.journal().downtimeMillis();
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
