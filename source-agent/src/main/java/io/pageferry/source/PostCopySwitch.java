package io.pageferry.source;

import io.pageferry.agent.cli.HoldPoint;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.image.PageRunConsumer;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.Prepared;
import io.pageferry.protocol.message.Started;
import io.pageferry.protocol.message.Switch;
import java.io.IOException;

/**
 * The guest's downtime in post-copy: pause, the names of the last stale pages, device state,
 * hand-over. Nothing in it depends on the size of the memory: what is known to be missing has been
 * named before.
 *
 * <p>Ownership passes as in {@link Switchover}. The device state is loaded before the commit and
 * may touch memory, so pages are sent on request from the SWITCH on.
 *
 * <p>Threading: the driver thread.
 */
final class PostCopySwitch {
  private final SourceGuest guest;
  private final TargetLink link;
  private final OwnershipLedger ledger;
  private final Cancellation cancellation;
  private final MigrationJournal journal;
  private final MigrationProgress progress;

  /** Finds out what the guest wrote since it was asked last. */
  interface Stale {
    /** Called when the guest stands still. */
    void collect(PageRunConsumer consumer) throws IOException;
  }

  PostCopySwitch(
      SourceGuest guest,
      TargetLink link,
      OwnershipLedger ledger,
      Cancellation cancellation,
      MigrationJournal journal,
      MigrationProgress progress) {
    this.guest = guest;
    this.link = link;
    this.ledger = ledger;
    this.cancellation = cancellation;
    this.journal = journal;
    this.progress = progress;
  }

  /**
   * Moves the guest.
   *
   * @param postcopy its round is the one that begins here
   * @param unsent what is known to be missing at the target; grows by what the guest still writes
   * @param more what a recovery has to know
   * @return what it cost
   * @throws IOException on any failure; the ledger's state says on which side of the hand-over
   */
  Switchover.Parts run(
      PostCopy postcopy, int round, UnsentPages unsent, Stale stale, LedgerFields more)
      throws IOException, InterruptedException {
    try (HandoverWriting handover = new HandoverWriting(ledger)) {
      return run(postcopy, round, unsent, stale, more, handover);
    }
  }

  private Switchover.Parts run(
      PostCopy postcopy,
      int round,
      UnsentPages unsent,
      Stale stale,
      LedgerFields more,
      HandoverWriting handover)
      throws IOException, InterruptedException {
    MissingSeries missing = new MissingSeries(link);
    UnsentPages.Runs naming = missing::add;
    PageRunConsumer found = (region, first, count) -> unsent.mark(region, first, count, naming);
    DeviceStateSaving saving = new DeviceStateSaving(guest.control());
    unsent.forEach(naming);
    missing.flush();
    noteOperations();
    // Before the guest stands still: whoever finds this ledger knows that it has to be resumed.
    ledger.record(LedgerState.PAUSED, more);
    progress.switchoverBegins();
    long begin = System.nanoTime();
    journal.paused(begin);
    guest.control().pause();
    long paused = System.nanoTime();
    HoldPoint.reached("paused");

    long named;
    long saved;
    try (saving) {
      saving.begin();
      stale.collect(found);
      missing.end();
      named = System.nanoTime();
      Switchover.sendDeviceState(link, saving.await());
      saved = System.nanoTime();
      postcopy.answer();
      link.send(new Switch(round, unsent.count()));
      handover.begin();
      saving.confirm();
    }
    // The device state may touch pages that are here: without their channels it never gets them.
    link.await(Prepared.class, Switchover.PREPARATION, postcopy::requireOpen);
    HoldPoint.reached("prepared");
    link.requireTarget();
    cancellation.passPointOfNoReturn();
    handover.await();
    progress.phase("hand-over");
    HoldPoint.reached("handed-over");
    handover.committing();
    link.send(new Commit());
    long committed = System.nanoTime();
    Started started = link.await(Started.class, Switchover.CONFIRMATION);
    long end = System.nanoTime();
    Switchover.Parts parts =
        new Switchover.Parts(
            paused - begin, named - paused, saved - named, committed - saved, end - committed);
    journal.started(end, parts, started.guestDowntimeMicros());
    ledger.record(LedgerState.SERVING);
    return parts;
  }

  private void noteOperations() throws GuestControlException {
    guest
        .control()
        .ticks()
        .ifPresent(ticks -> journal.operationsBefore((double) ticks.operationsPerSecond()));
  }
}
