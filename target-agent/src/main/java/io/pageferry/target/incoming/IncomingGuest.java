package io.pageferry.target.incoming;

import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.description.DescriptionException;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.target.MigrationAborted;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Everything this host holds for one guest on its way here: the ledger, its memory, its process,
 * its page faults. Each of the last three is a class of its own; this one has the order in which
 * they are had and let go of, because each needs another, and whatever else is asked of one is
 * asked of it. Made step by step by the preflight; ends in {@link #remove} (nothing is left) or
 * {@link #keep} (the guest stays, this lets go of it).
 *
 * <p>The ledger comes first and names what is about to be made, so that whatever a killed agent
 * leaves behind is found. One thread at a time.
 */
public final class IncomingGuest {
  private static final Logger LOG = LoggerFactory.getLogger(IncomingGuest.class);
  private static final long POLL_MILLIS = 10;

  private final GuestDescription description;
  private final OwnershipLedger ledger;
  private final IncomingMemory memory;
  private final IncomingProcess process;
  private final IncomingFaults faults;

  private IncomingGuest(GuestDescription description, OwnershipLedger ledger, GuestCopies copies) {
    this.description = description;
    this.ledger = ledger;
    this.memory = new IncomingMemory(description, ledger, copies);
    this.process = new IncomingProcess(description, ledger);
    this.faults = new IncomingFaults(description, ledger);
  }

  /**
   * Writes down, on disk, that this host is about to receive the guest.
   *
   * @param peer the sending agent's name, by its certificate
   * @param copies where the guest may have left its memory, and may leave it again
   */
  public static IncomingGuest begin(
      Path stateDirectory,
      UUID migration,
      GuestDescription description,
      String peer,
      GuestCopies copies)
      throws MigrationAborted {
    return new IncomingGuest(
        description, TargetLedger.begin(stateDirectory, migration, description, peer), copies);
  }

  /**
   * Takes up a guest again that was taken over before all of its pages were here, and whose agent
   * is gone: its ledger, its image, and the line to it if it answers. Its page faults are the next
   * thing to take.
   *
   * @throws MigrationAborted GUEST_ENDED if its process has; another reason, and the guest is as it
   *     was, if it cannot be taken up now
   */
  public static IncomingGuest retake(OwnershipLedger ledger) throws MigrationAborted {
    String file = ledger.fields().description();
    if (file == null) {
      throw new MigrationAborted(
          AbortReason.IO_ERROR, "its ledger does not say which file describes it");
    }
    IncomingGuest guest;
    try {
      guest =
          new IncomingGuest(
              GuestDescription.load(Path.of(file)),
              ledger,
              new GuestCopies(ledger.stateDirectory(), CopyLimits.NONE));
    } catch (DescriptionException e) {
      throw new MigrationAborted(
          AbortReason.IO_ERROR, "its description cannot be read: " + e.getMessage(), e);
    }
    boolean taken = false;
    try {
      guest.process.requireLaunchedAlive();
      guest.memory.reopen();
      guest.process.reachAgain(guest::isNobodysMemory);
      taken = true;
      return guest;
    } finally {
      if (!taken) {
        guest.letGo();
      }
    }
  }

  /** Whether it is certain that no process has the guest's memory. */
  private boolean isNobodysMemory() {
    try {
      return description.anonymousMemory() ? faults.processEnded() : memory.isNobodys();
    } catch (IOException e) {
      LOG.debug("whether guest '{}' has ended cannot be told", description.name(), e);
      return false;
    }
  }

  /**
   * Makes the image, or takes the one that is there and empties it, or sees to it that there is
   * memory for a guest that has it in no file.
   *
   * @param ahead whether the memory for all of it is held from now on; not for a guest of which
   *     nothing comes before it runs
   * @param recall whether a copy of the guest may be made use of
   */
  public void reserve(List<Long> regionBytes, boolean ahead, boolean recall)
      throws MigrationAborted {
    memory.reserve(regionBytes, ahead, recall);
  }

  /**
   * Launches the guest, if that is ours to do, and waits until it asks for its device state. The
   * memory of its new image is taken meanwhile; {@link #awaitReserved} waits for that.
   */
  public void launch(Duration limit) throws MigrationAborted {
    process.launch();
    memory.beginTaking();
    long deadline = System.nanoTime() + limit.toNanos();
    while (!process.reachWaiting(deadline)) {
      if (memory.cannotBeTaken()) {
        awaitReserved();
      }
      process.requireAlive();
      pause();
    }
  }

  /**
   * Returns when the memory is held that was to be held ahead; after {@link #launch}.
   *
   * @throws MigrationAborted if there is not as much
   */
  public void awaitReserved() throws MigrationAborted {
    try {
      memory.awaitTaken();
    } catch (InterruptedException e) {
      throw stopped(e);
    }
  }

  /**
   * Sees to it that a QEMU waits with the memory that was reserved, and that its machine is made of
   * what the source's is; after {@link #reserve} and {@link #launch}.
   *
   * @param theirs the parts of the source's machine; empty if it did not tell
   */
  public void requireSameMachine(List<String> theirs) throws MigrationAborted {
    Optional<GuestImage> image = memory.image();
    if (image.isPresent()) {
      process.requireSameMachine(theirs, image.get().regions());
    }
  }

  /**
   * Takes over the page faults of the guest's memory; after {@link #launch}. A guest whose memory
   * is in no file hands them over later and by itself: then it is listened for.
   *
   * @throws IOException whose message says why they cannot be had; the guest is as it was
   */
  public void takeFaults() throws IOException {
    faults.take(process.control(), memory);
  }

  /**
   * As {@link #takeFaults}, after the agent that had them is gone.
   *
   * @throws IOException as there
   */
  public void retakeFaults() throws IOException {
    faults.retake(process.line(), memory);
  }

  private static void pause() throws MigrationAborted {
    try {
      Thread.sleep(POLL_MILLIS);
    } catch (InterruptedException e) {
      throw stopped(e);
    }
  }

  private static MigrationAborted stopped(InterruptedException e) {
    Thread.currentThread().interrupt();
    return new MigrationAborted(AbortReason.SHUTTING_DOWN, "the target agent is being stopped", e);
  }

  public GuestDescription description() {
    return description;
  }

  public OwnershipLedger ledger() {
    return ledger;
  }

  /** What it has for memory; reserved and removed by this object only. */
  public IncomingMemory memory() {
    return memory;
  }

  /** The process that is to become the guest, and the line to it. */
  public IncomingProcess process() {
    return process;
  }

  /** Its page faults, taken or not. */
  public IncomingFaults faults() {
    return faults;
  }

  /**
   * Writes down that this guest will never run here by this migration.
   *
   * @return whether that is on disk
   */
  public boolean renounce() {
    try {
      ledger.record(LedgerState.ABANDONED);
      return true;
    } catch (LedgerException e) {
      LOG.error("migration {}: {}", ledger.migration(), e.getMessage());
      return false;
    }
  }

  /**
   * Ends the launched process and removes the image, unless that is a copy now. What cannot be
   * removed is logged, and the ledger tells the sweep.
   */
  public void remove() {
    faults.lift();
    faults.close();
    process.end();
    faults.removeMissingPages();
    if (memory.remove() && ledger.current() == LedgerState.ABANDONED) {
      try {
        ledger.update(ledger.fields().with(TargetLedger.CLEANED, "true"));
      } catch (LedgerException e) {
        LOG.warn("migration {}: {}", ledger.migration(), e.getMessage());
      }
    }
    ledger.close();
  }

  /** As {@link Leftovers#bury}, of this guest. */
  public void bury(String sentence) {
    letGo();
    Leftovers.bury(ledger, sentence);
  }

  /** The guest stays here; its files, its socket and its process are nobody's to remove. */
  public void keep() {
    letGo();
    ledger.close();
  }

  /** Lets go of everything but the ledger. May be called again. */
  public void letGo() {
    faults.close();
    process.hangUp();
    memory.close();
  }
}
