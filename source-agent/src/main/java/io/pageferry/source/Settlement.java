package io.pageferry.source;

import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.protocol.channel.PeerAbortedException;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Ownership;
import io.pageferry.protocol.message.OwnershipQuery;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.Reclaim;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import org.slf4j.Logger;

/**
 * Finds out whose guest it is after this side has written HANDED_OVER and heard nothing more.
 *
 * <p>Only the target's ledger can say: if it says RUNNING or FETCHING the guest is gone from here;
 * if it says TAKEN_OVER the guest is the target's but may never have run there, and the copy here
 * may be the only one left. If it says neither, the target is asked to write ABANDONED, after which
 * no commit can start the guest there any more and it may be resumed here. A target that has never
 * heard of the migration is not believed: it may be another machine, or one whose ledger was lost
 * together with the proof.
 *
 * <p>Where this side has not written HANDED_OVER there is no question, and the target is only told.
 *
 * <p>Threading: the driver thread.
 */
final class Settlement {
  private static final Logger STORY = LogOutput.story("source");

  /** How long the target is tried to be told of a guest that stays; the command ends that later. */
  static final Duration WITHDRAWAL = Duration.ofSeconds(5);

  private static final long RETRY_MILLIS = 500;

  private final TargetPlace target;
  private final String peerName;

  /**
   * @param peerName the name in the certificate of the agent that took part
   */
  Settlement(TargetPlace target, String peerName) {
    this.target = target;
    this.peerName = peerName;
  }

  /**
   * Asks until there is an answer or the time is up, and writes the answer to the ledger.
   *
   * @param mayYetRun whether a guest that was taken over is waited for to run there; not if the
   *     target has given up already, which changes nothing any more
   * @return COMPLETED if the guest runs on the target, SERVING if it does and pages are only here,
   *     RECLAIMED if it is ours again, HANDED_OVER if it is the target's and is not known to run
   *     there, empty if the question stays open
   */
  Optional<LedgerState> settle(OwnershipLedger ledger, Duration limit, boolean mayYetRun)
      throws InterruptedException, IOException {
    long end = System.nanoTime() + limit.toNanos();
    String said = "";
    Optional<LedgerState> known = Optional.empty();
    while (true) {
      try (TargetLink link = target.connect()) {
        if (!isPeer(link)) {
          throw new IOException(
              "%s is %s now, the guest was handed to %s"
                  .formatted(target.address(), link.peer().name(), peerName));
        }
        OwnershipState state = ask(link, ledger);
        switch (state) {
          case FETCHING -> {
            ledger.record(LedgerState.SERVING);
            return Optional.of(LedgerState.SERVING);
          }
          case TAKEN_OVER -> {
            if (known.isEmpty() && mayYetRun) {
              STORY.info("{} has taken the guest over; waiting for it to run there.", peerName);
            }
            known = Optional.of(LedgerState.HANDED_OVER);
            if (!mayYetRun) {
              return known;
            }
          }
          case RUNNING -> {
            ledger.record(LedgerState.COMPLETED);
            // The target need not be asked again, and may close its ledger.
            link.send(new Goodbye());
            return Optional.of(LedgerState.COMPLETED);
          }
          case ABANDONED -> {
            ledger.record(LedgerState.RECLAIMED);
            return Optional.of(LedgerState.RECLAIMED);
          }
          default -> STORY.warn("{} says {} of this migration.", peerName, state);
        }
      } catch (IOException e) {
        String why = String.valueOf(e.getMessage());
        if (!why.equals(said)) {
          STORY.info("Asking the target who owns the guest: {}.", why);
          said = why;
        }
      }
      if (System.nanoTime() - end >= 0) {
        return known;
      }
      Thread.sleep(RETRY_MILLIS);
    }
  }

  /**
   * Whether a guest that has ended on the target ran there, as far as that is written down. To be
   * asked after the end: before, it may be about to run.
   *
   * @return false as well where the target does not answer
   */
  boolean isKnownToHaveRun(UUID migration) throws InterruptedException {
    try (TargetLink link = target.connect()) {
      return isPeer(link) && query(link, migration) == OwnershipState.FETCHING;
    } catch (IOException e) {
      STORY.debug("asking {} whether the guest has run there", target.address(), e);
      return false;
    }
  }

  /**
   * Whether the target says both that its guest ended before it had all of its pages and that it is
   * not known to have run there. Its ledger is closed by that, so that no agent there starts the
   * guest any more.
   *
   * @throws IOException if it cannot be asked
   */
  boolean hasEndedUnseen(UUID migration) throws IOException, InterruptedException {
    try (TargetLink link = target.connect()) {
      // What FETCHING is said of would lose its present connection by RESUME.
      if (!isPeer(link) || query(link, migration) != OwnershipState.TAKEN_OVER) {
        return false;
      }
      link.tryToResume(migration);
      return false;
    } catch (PeerAbortedException e) {
      if (e.reason() != AbortReason.GUEST_ENDED) {
        return false;
      }
    }
    // Once more: between the two it may have been started, and ended.
    try (TargetLink link = target.connect()) {
      return isPeer(link) && query(link, migration) == OwnershipState.TAKEN_OVER;
    }
  }

  /** How a guest comes to run that the target has taken over: what to do there. */
  static String howToStartThere(LedgerFields fields) {
    return PostCopyFields.any(fields)
        ? "see to it that 'pageferry target serve' runs there, which starts it"
        : "run 'pageferry target sweep' there";
  }

  private boolean isPeer(TargetLink link) {
    return link.peer().name().equals(peerName);
  }

  private static OwnershipState query(TargetLink link, UUID migration)
      throws IOException, InterruptedException {
    link.send(new OwnershipQuery(migration));
    return link.await(Ownership.class, TargetLink.ANSWER).state();
  }

  /**
   * Tells the target, which may be ready and wait for this side's word, that none will come: the
   * guest has stayed here, which this side's ledger says. A courtesy that frees the target's memory
   * at once; a target that cannot be told gives up by itself.
   *
   * @param limit for all of it
   */
  void withdraw(UUID migration, Duration limit) throws InterruptedException {
    Thread telling =
        Thread.ofVirtual().name("withdrawal").start(() -> tellUntilInterrupted(migration));
    if (!telling.join(limit)) {
      telling.interrupt();
      STORY.info(
          "{} could not be told that the guest stays here; it finds out by itself.",
          target.address());
    }
  }

  private void tellUntilInterrupted(UUID migration) {
    try {
      while (!tell(migration)) {
        Thread.sleep(RETRY_MILLIS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private boolean tell(UUID migration) throws InterruptedException {
    try (TargetLink link = target.connect()) {
      if (isPeer(link)) {
        link.send(new Reclaim(migration));
        OwnershipState state = link.await(Ownership.class, TargetLink.ANSWER).state();
        STORY.info("{} was told that the guest stays here, and says {}.", peerName, state);
      }
      return true;
    } catch (IOException e) {
      STORY.debug("telling {} that the guest stays here", target.address(), e);
      return false;
    }
  }

  private static OwnershipState ask(TargetLink link, OwnershipLedger ledger)
      throws IOException, InterruptedException {
    OwnershipState state = query(link, ledger.migration());
    if (state == OwnershipState.RECEIVING || state == OwnershipState.PREPARED) {
      link.send(new Reclaim(ledger.migration()));
      state = link.await(Ownership.class, TargetLink.ANSWER).state();
    }
    return state;
  }
}
