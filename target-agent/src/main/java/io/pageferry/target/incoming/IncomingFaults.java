package io.pageferry.target.incoming;

import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.fault.FaultService;
import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.HandoverListener;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The page faults of a guest on its way here, from when they are taken over from it until somebody
 * serves them or nobody needs to; and where it is written, beside the ledger, what another agent
 * needs to serve them after this one: which pages are missing, and what the guest said that hands
 * them over only once.
 *
 * <p>One thread at a time, except {@link #expectNone}.
 */
public final class IncomingFaults {
  private static final Logger LOG = LoggerFactory.getLogger(IncomingFaults.class);

  private final GuestDescription description;
  private final UUID migration;
  private final Path missingPages;
  private final KeptHandover kept;
  private @Nullable GuestHandover taken;

  /** What was not needed after all. */
  private @Nullable GuestHandover lifted;

  /** Where a guest whose memory is in no file connects while it loads its state. */
  private volatile @Nullable HandoverListener awaited;

  IncomingFaults(GuestDescription description, OwnershipLedger ledger) {
    this.description = description;
    this.migration = ledger.migration();
    this.missingPages = TargetLedger.missingPages(ledger);
    this.kept = KeptHandover.beside(missingPages);
  }

  /**
   * Takes them over. A guest whose memory is in no file hands them over later and by itself: then
   * it is listened for.
   *
   * @throws IOException whose message says why they cannot be had; the guest is as it was
   */
  void take(GuestControl control, IncomingMemory memory) throws IOException {
    if (description.anonymousMemory()) {
      awaited = FaultHandover.listen(description.handover().orElseThrow());
    } else {
      GuestHandover given =
          FaultHandover.request(description, control, memory.image().orElseThrow());
      boolean ours = false;
      try {
        // Here and not when it is served: the guest stands still then.
        FaultService.requireMapped(given, memory.image().orElseThrow());
        taken = given;
        ours = true;
      } finally {
        if (!ours) {
          given.unregister();
          given.close();
        }
      }
    }
  }

  /**
   * As {@link #take}, after the agent that had them is gone.
   *
   * @param control null when the guest does not answer now
   * @throws IOException as there
   */
  void retake(@Nullable GuestControl control, IncomingMemory memory) throws IOException {
    taken =
        description.anonymousMemory()
            ? kept.retake()
            : FaultHandover.requestAgain(description, control, memory.image().orElseThrow());
  }

  /** Whether {@link #take} came about, and nobody has taken or lifted them since. */
  public boolean held() {
    return taken != null || awaited != null;
  }

  /**
   * Whether the guest hands its page faults over while it loads its state, and must be served
   * before that is done.
   */
  public boolean comeAtLoad() {
    return description.anonymousMemory();
  }

  /** Makes a thread that waits in {@link #give} give up. Any thread. */
  public void expectNone() {
    HandoverListener listening = awaited;
    if (listening != null) {
      listening.close();
    }
  }

  /**
   * The guest's page faults, from now on the caller's. Waits for a guest that hands them over while
   * it loads, half as long as it may load, and keeps what it said for the next agent.
   *
   * @throws IOException if it does not, in one sentence
   */
  public GuestHandover give() throws IOException {
    HandoverListener listening = awaited;
    if (listening != null) {
      try (listening) {
        // Half of the load's own time: the load itself is to fail because of this, not before it.
        return remembered(listening.accept(description.control().timeout().dividedBy(2)));
      } finally {
        awaited = null;
      }
    }
    GuestHandover given = taken;
    if (given == null) {
      throw new IllegalStateException("the guest's page faults were not taken");
    }
    taken = null;
    return given;
  }

  private GuestHandover remembered(GuestHandover given) throws IOException {
    boolean written = false;
    try {
      kept.write(given);
      written = true;
      return given;
    } finally {
      if (!written) {
        given.unregister();
        given.close();
      }
    }
  }

  /** The guest finds all of its memory there: its page faults are nobody's to serve any more. */
  public void lift() {
    if (taken != null) {
      taken.unregister();
      // Closed later: the guest stands still.
      lifted = taken;
      taken = null;
    }
    expectNone();
  }

  /** Where it is written which pages are missing. */
  public Path missingPages() {
    return missingPages;
  }

  /** Nothing is missing any more, or ever will be. */
  public void removeMissingPages() {
    try {
      Files.deleteIfExists(missingPages);
      kept.remove();
    } catch (IOException e) {
      LOG.warn("migration {}: {}", migration, e.toString());
    }
  }

  /**
   * Whether the process is gone that handed its memory over by itself.
   *
   * @throws IOException if that cannot be told
   */
  boolean processEnded() throws IOException {
    return kept.processEnded();
  }

  /** Closes them without lifting them: what waits for a page goes on waiting. */
  void close() {
    if (taken != null) {
      taken.close();
      taken = null;
    }
    if (lifted != null) {
      lifted.close();
      lifted = null;
    }
    expectNone();
  }
}
