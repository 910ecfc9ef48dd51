package io.pageferry.target.recovery;

import io.pageferry.agent.ledger.LedgerEntry;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.target.MigrationAborted;
import io.pageferry.target.Receptions;
import io.pageferry.target.incoming.TargetLedger;
import io.pageferry.target.reception.Arrival;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Answers, from what is on disk, whose a guest is, to the agent that sent it and to nobody else.
 * "Unknown" is said only when there is no ledger at all: one that cannot be read is never taken for
 * one that is not there. Whoever asks after a guest that waits for its pages while nobody here
 * looks after it has it taken up again. Any thread.
 */
public final class OwnershipDesk {
  private static final Logger LOG = LoggerFactory.getLogger(OwnershipDesk.class);
  private static final Duration DECISION = Duration.ofSeconds(60);

  /** Sees to it that a guest is looked after whose ledger is unfinished. Does not wait for it. */
  public interface Caretaker {
    void takeUp(UUID migration);
  }

  private final Path stateDirectory;
  private final Receptions receptions;
  private final Caretaker caretaker;

  public OwnershipDesk(Path stateDirectory, Receptions receptions, Caretaker caretaker) {
    this.stateDirectory = stateDirectory;
    this.receptions = receptions;
    this.caretaker = caretaker;
  }

  /** What the ledger says. */
  public OwnershipState query(UUID migration, PeerIdentity peer) throws MigrationAborted {
    try {
      // Before the ledger: one that is no more by then has written there how it ended.
      Optional<Arrival> arrival = receptions.find(migration);
      LedgerEntry entry = OwnershipLedger.read(stateDirectory, LedgerSide.TARGET, migration);
      authorise(entry.fields().peer(), peer);
      seeToIt(entry, arrival);
      return state(entry, arrival);
    } catch (LedgerException e) {
      return unknown(e);
    }
  }

  /**
   * Gives a guest back that was not taken over: writes that it never will be.
   *
   * @return what is then on disk
   */
  public OwnershipState reclaim(UUID migration, PeerIdentity peer)
      throws MigrationAborted, InterruptedException {
    OwnershipState before = query(migration, peer);
    if (before != OwnershipState.RECEIVING && before != OwnershipState.PREPARED) {
      return before;
    }
    Optional<Arrival> running = receptions.find(migration);
    if (running.isPresent()) {
      settle(running.get());
      return query(migration, peer);
    }
    try (OwnershipLedger ledger =
        OwnershipLedger.open(stateDirectory, LedgerSide.TARGET, migration)) {
      // What was asked above may be out of date: a guest that was taken over since is nobody's to
      // abandon.
      switch (ledger.current()) {
        case RECEIVING, PREPARED, ABANDONED -> Sweep.abandon(ledger);
        default -> {}
      }
    } catch (LedgerException e) {
      // Held: another agent of this host is at it. What it has written so far is the answer.
      if (e.problem() != LedgerException.Problem.HELD) {
        throw unreadable(e);
      }
    }
    return query(migration, peer);
  }

  /**
   * The source knows that the guest is here: nobody will ask about this migration any more. A guest
   * that was not started yet stays in the sweep's care.
   */
  public void confirm(UUID migration) {
    try (OwnershipLedger ledger =
        OwnershipLedger.open(stateDirectory, LedgerSide.TARGET, migration)) {
      if (ledger.current() == LedgerState.TAKEN_OVER
          && ledger.fields().isSet(TargetLedger.STARTED)
          && !Unfinished.is(ledger.current(), ledger.fields())) {
        ledger.record(LedgerState.COMPLETED);
      }
    } catch (LedgerException e) {
      LOG.debug("migration {} stays open to be asked", migration, e);
    }
  }

  private static void settle(Arrival arrival) throws MigrationAborted, InterruptedException {
    try {
      arrival.reclaim().get(DECISION.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException | TimeoutException e) {
      throw new MigrationAborted(
          AbortReason.IO_ERROR, "the target cannot say now whose the guest is: ask again later", e);
    }
  }

  private static OwnershipState unknown(LedgerException e) throws MigrationAborted {
    if (e.problem() == LedgerException.Problem.MISSING) {
      return OwnershipState.UNKNOWN;
    }
    throw unreadable(e);
  }

  private static MigrationAborted unreadable(LedgerException e) {
    return new MigrationAborted(
        AbortReason.IO_ERROR, "the target cannot read its ledger: " + e.getMessage(), e);
  }

  /** By name, not by certificate: a source that recovers may have a renewed one. */
  private static void authorise(String sender, PeerIdentity peer) throws MigrationAborted {
    if (!sender.equals(peer.name())) {
      throw new MigrationAborted(
          AbortReason.NOT_AUTHORISED, "this migration is not one that '" + peer.name() + "' began");
    }
  }

  /**
   * Whether that peer may bring what is missing of this guest.
   *
   * @throws MigrationAborted GUEST_ENDED when there is nobody to bring it to any more, or another
   *     reason why not
   */
  public void authoriseResume(UUID migration, PeerIdentity peer) throws MigrationAborted {
    Optional<Arrival> arrival = receptions.find(migration);
    LedgerEntry entry;
    try {
      entry = OwnershipLedger.read(stateDirectory, LedgerSide.TARGET, migration);
    } catch (LedgerException e) {
      unknown(e);
      throw new MigrationAborted(
          AbortReason.PROTOCOL_VIOLATION, "the target has never heard of this migration", e);
    }
    authorise(entry.fields().peer(), peer);
    String ended = entry.fields().more().get(TargetLedger.ENDED);
    if (ended != null) {
      throw new MigrationAborted(AbortReason.GUEST_ENDED, ended);
    }
    seeToIt(entry, arrival);
    if (!lacksPages(entry, arrival)) {
      throw new MigrationAborted(
          AbortReason.PROTOCOL_VIOLATION, "nothing is missing of this guest on the target");
    }
  }

  /**
   * Its agent lives and lost it all the same, by a defect or because its ledger could not be
   * written: without this only another agent would take it up.
   */
  private void seeToIt(LedgerEntry entry, Optional<Arrival> arrival) {
    if (arrival.isEmpty() && Unfinished.is(entry.state(), entry.fields())) {
      caretaker.takeUp(entry.migration());
    }
  }

  /**
   * Whether the source may bring what is missing; that may be here by now, and the source still
   * welcome to compare.
   */
  private static boolean lacksPages(LedgerEntry entry, Optional<Arrival> arrival) {
    return Unfinished.is(entry.state(), entry.fields())
        || (entry.state() == LedgerState.TAKEN_OVER && resumable(arrival));
  }

  private static boolean resumable(Optional<Arrival> arrival) {
    return arrival.filter(Arrival::resumable).isPresent();
  }

  /**
   * Of a guest that was taken over. RUNNING is said of one only that needs nothing of the source
   * any more, which ends its copy then; and before a guest was started it may yet be given back.
   */
  private static OwnershipState takenOver(LedgerEntry entry, Optional<Arrival> arrival) {
    boolean started = entry.fields().isSet(TargetLedger.STARTED);
    if (lacksPages(entry, arrival)) {
      return started || resumable(arrival) ? OwnershipState.FETCHING : OwnershipState.TAKEN_OVER;
    }
    return started ? OwnershipState.RUNNING : OwnershipState.TAKEN_OVER;
  }

  private static OwnershipState state(LedgerEntry entry, Optional<Arrival> arrival) {
    return switch (entry.state()) {
      case RECEIVING -> OwnershipState.RECEIVING;
      case PREPARED -> OwnershipState.PREPARED;
      case TAKEN_OVER -> takenOver(entry, arrival);
      // A guest that ended too early has fetched nothing more: RESUME is answered with how it
      // ended. Whether one that nobody saw start has run there, nobody can say.
      case COMPLETED ->
          !entry.fields().more().containsKey(TargetLedger.ENDED)
              ? OwnershipState.RUNNING
              : entry.fields().isSet(TargetLedger.STARTED)
                  ? OwnershipState.FETCHING
                  : OwnershipState.TAKEN_OVER;
      case ABANDONED -> OwnershipState.ABANDONED;
      case PLANNED, STREAMING, PAUSED, HANDED_OVER, SERVING, RECLAIMED, FAILED ->
          throw new IllegalStateException("a target's ledger in state " + entry.state());
    };
  }
}
