package io.pageferry.source;

import io.pageferry.agent.cli.HoldPoint;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.Prepared;
import io.pageferry.protocol.message.Started;
import io.pageferry.protocol.page.Digest;
import io.pageferry.protocol.page.ImageDigest;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;

/**
 * The guest's downtime: pause, last pages, device state, comparison of the digests, hand-over.
 *
 * <p>Ownership passes in two written steps (design: one owner). Until this side has written
 * HANDED_OVER and sent COMMIT the guest is its own and every failure resumes it here; from then on
 * only the target's ledger says whether it was taken over, and nobody resumes it here without
 * having asked.
 *
 * <p>Threading: the driver thread.
 */
final class Switchover {
  /** Loading device state and, with a full comparison, rereading the image. */
  static final Duration PREPARATION = Duration.ofMinutes(5);

  /** After this long without an answer to the commit the other ledger is asked instead. */
  static final Duration CONFIRMATION = Duration.ofSeconds(15);

  private static final int DEVICE_STATE_CHUNK = 512 << 10;

  private final SourceGuest guest;
  private final Remainder remainder;
  private final RoundSender rounds;
  private final TargetLink link;
  private final OwnershipLedger ledger;
  private final ImageDigest digest;
  private final Cancellation cancellation;
  private final MigrationJournal journal;
  private final MigrationProgress progress;

  /** What the last round has to send, found out when the guest stands still. */
  interface Remainder {
    RoundWork collect() throws IOException;
  }

  /** How the downtime was spent, in order, in nanoseconds. */
  record Parts(
      long pauseNanos,
      long finalPagesNanos,
      long deviceStateNanos,
      long commitNanos,
      long startNanos) {
    static final Parts NONE = new Parts(0, 0, 0, 0, 0);

    /** Everything but the pages: what the next migration of this guest has to expect. */
    long fixedNanos() {
      return pauseNanos + deviceStateNanos + commitNanos + startNanos;
    }
  }

  Switchover(
      SourceGuest guest,
      Remainder remainder,
      RoundSender rounds,
      TargetLink link,
      OwnershipLedger ledger,
      ImageDigest digest,
      Cancellation cancellation,
      MigrationJournal journal,
      MigrationProgress progress) {
    this.guest = guest;
    this.remainder = remainder;
    this.rounds = rounds;
    this.link = link;
    this.ledger = ledger;
    this.digest = digest;
    this.cancellation = cancellation;
    this.journal = journal;
    this.progress = progress;
  }

  /**
   * Moves the guest.
   *
   * @param round the number of the last round
   * @return what it cost
   * @throws IOException on any failure; the ledger's state says on which side of the hand-over
   */
  Parts run(int round, boolean verifyFull) throws IOException, InterruptedException {
    try (HandoverWriting handover = new HandoverWriting(ledger)) {
      return run(round, verifyFull, handover);
    }
  }

  private Parts run(int round, boolean verifyFull, HandoverWriting handover)
      throws IOException, InterruptedException {
    DeviceStateSaving saving = new DeviceStateSaving(guest.control());
    // Before the guest stands still: whoever finds this ledger knows that it has to be resumed.
    ledger.record(LedgerState.PAUSED);
    progress.switchoverBegins();
    long begin = System.nanoTime();
    journal.paused(begin);
    guest.control().pause();
    long paused = System.nanoTime();
    HoldPoint.reached("paused");

    long landed;
    long saved;
    Digest value;
    // The guest writes its state down while its last pages travel; neither needs the other.
    try (saving) {
      saving.begin();
      RoundSender.Sent last = rounds.send(round, remainder.collect(), true);
      journal.round(last, 0, 0);
      landed = System.nanoTime();
      sendDeviceState(link, saving.await());
      saved = System.nanoTime();
      value = digest.value();
      if (verifyFull) {
        compareWithImage(value);
      }
      link.send(new DigestValue(value.high(), value.low(), verifyFull));
      handover.begin();
      saving.confirm();
    }
    Prepared prepared = link.await(Prepared.class, PREPARATION);
    if (!prepared.digestMatches()
        || prepared.high() != value.high()
        || prepared.low() != value.low()) {
      throw new ProtocolException(
          AbortReason.DIGEST_MISMATCH, "the target's image differs from what was sent");
    }
    journal.verified();
    HoldPoint.reached("prepared");
    link.requireTarget();
    cancellation.passPointOfNoReturn();
    handover.await();
    progress.phase("hand-over");
    HoldPoint.reached("handed-over");
    handover.committing();
    link.send(new Commit());
    long committed = System.nanoTime();
    Started started = link.await(Started.class, CONFIRMATION);
    long end = System.nanoTime();
    Parts parts =
        new Parts(
            paused - begin, landed - paused, saved - landed, committed - saved, end - committed);
    journal.started(end, parts, started.guestDowntimeMicros());
    return parts;
  }

  /**
   * Finds what the tracker missed: a page that changed after it was sent and was not sent again.
   */
  private void compareWithImage(Digest sent) throws IOException {
    if (!ImageReread.digest(guest.image()).equals(sent)) {
      throw new IOException("the guest's memory is not what was sent: a write to it was missed");
    }
  }

  /** Sends it in pieces that fit a frame. */
  static void sendDeviceState(TargetLink link, byte[] state) throws ProtocolException {
    int offset = 0;
    do {
      int end = Math.min(state.length, offset + DEVICE_STATE_CHUNK);
      link.send(
          new DeviceState(offset, end == state.length, Arrays.copyOfRange(state, offset, end)));
      offset = end;
    } while (offset < state.length);
  }
}
