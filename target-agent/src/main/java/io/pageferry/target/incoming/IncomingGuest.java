package io.pageferry.target.incoming;

import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.agent.process.MigrationProcesses;
import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.control.GuestPlace;
import io.pageferry.guest.control.GuestStatus;
import io.pageferry.guest.control.MachineDifference;
import io.pageferry.guest.control.QemuFitness;
import io.pageferry.guest.control.QemuMachine;
import io.pageferry.guest.description.ControlDescription;
import io.pageferry.guest.description.DescriptionException;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.fault.FaultService;
import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.HandoverListener;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Offer;
import io.pageferry.target.MigrationAborted;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Everything this host holds for one guest on its way here: the ledger, the reserved image, the
 * launched process, the line to it. Made step by step by the preflight, in the order of the
 * methods; ends in {@link #remove} (nothing is left) or {@link #keep} (the guest stays, this lets
 * go of it).
 *
 * <p>The ledger comes first and names what is about to be made, so that whatever a killed agent
 * leaves behind is found. One thread at a time.
 */
public final class IncomingGuest {
  private static final Logger LOG = LoggerFactory.getLogger(IncomingGuest.class);
  private static final long POLL_MILLIS = 10;

  private final UUID migration;
  private final GuestDescription description;
  private final GuestPlace place;
  private final OwnershipLedger ledger;
  private final IncomingMemory memory;
  private @Nullable GuestLaunch launch;
  private @Nullable GuestControl control;
  private @Nullable GuestHandover faults;

  /** What was not needed after all. */
  private @Nullable GuestHandover lifted;

  /** Where a guest whose memory is in no file connects while it loads its state. */
  private volatile @Nullable HandoverListener awaited;

  private IncomingGuest(
      UUID migration, GuestDescription description, OwnershipLedger ledger, GuestCopies copies) {
    this.migration = migration;
    this.description = description;
    this.place = GuestPlace.of(description, MigrationProcesses.markOfTarget(migration));
    this.ledger = ledger;
    this.memory = new IncomingMemory(description, ledger, copies);
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
        migration,
        description,
        TargetLedger.begin(stateDirectory, migration, description, peer),
        copies);
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
    LedgerFields fields = ledger.fields();
    String file = fields.description();
    if (file == null) {
      throw new MigrationAborted(
          AbortReason.IO_ERROR, "its ledger does not say which file describes it");
    }
    IncomingGuest guest;
    try {
      guest =
          new IncomingGuest(
              ledger.migration(),
              GuestDescription.load(Path.of(file)),
              ledger,
              new GuestCopies(ledger.stateDirectory(), CopyLimits.NONE));
    } catch (DescriptionException e) {
      throw new MigrationAborted(
          AbortReason.IO_ERROR, "its description cannot be read: " + e.getMessage(), e);
    }
    boolean taken = false;
    try {
      guest.requireLaunchedAlive(fields);
      guest.memory.reopen();
      guest.control = guest.answering();
      taken = true;
      return guest;
    } finally {
      if (!taken) {
        guest.letGo();
      }
    }
  }

  /**
   * The line to a guest that is taken up again. One that does not answer may be waiting for a page
   * itself, as QEMU's main loop does: it gets its pages first, and answers then.
   *
   * @return null if it does not answer now
   * @throws MigrationAborted GUEST_ENDED if it is not there any more
   */
  private @Nullable GuestControl answering() throws MigrationAborted {
    GuestControl attempt = null;
    try {
      attempt = place.connect();
      if (attempt.status().awaitsDeviceState()) {
        attempt.close();
        throw new MigrationAborted(
            AbortReason.GUEST_ENDED,
            "the guest's process on the target ended, and another one waits for a migration at its"
                + " place");
      }
      return attempt;
    } catch (GuestControlException e) {
      if (attempt != null) {
        attempt.close();
      }
      if (hasEndedUnseen()) {
        throw new MigrationAborted(
            AbortReason.GUEST_ENDED,
            "the guest's process on the target ended while no agent was there: nobody answers "
                + place.how()
                + ", and its memory is no process's",
            e);
      }
      LOG.debug("guest '{}' is taken up without being asked", name(), e);
      return null;
    }
  }

  /**
   * Whether it is certain that the guest's process ended, also if it was not launched here. Nobody
   * at its control is not enough: its user may have taken the socket away.
   */
  private boolean hasEndedUnseen() {
    if (!place.isDeserted()) {
      return false;
    }
    try {
      return description.anonymousMemory()
          ? KeptHandover.beside(missingPages()).processEnded()
          : memory.isNobodys();
    } catch (IOException e) {
      LOG.debug("whether guest '{}' has ended cannot be told", name(), e);
      return false;
    }
  }

  private String name() {
    return description.name();
  }

  private void requireLaunchedAlive(LedgerFields fields) throws MigrationAborted {
    LedgerFields.LaunchedProcess process = fields.launched();
    if (process != null && MigrationProcesses.find(migration, process.find()).isEmpty()) {
      throw new MigrationAborted(
          AbortReason.GUEST_ENDED, "the guest's process on the target ended");
    }
  }

  /**
   * Makes the image, or takes the one that is there and empties it, or sees to it that there is
   * memory for a guest that has it in no file.
   *
   * @param ahead whether the memory for all of it is held from now on; cannot be where nothing
   *     comes before the guest runs
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
    if (!description.launch().isEmpty()) {
      try {
        launch = GuestLaunch.start(description, migration);
        ledger.update(ledger.fields().withLaunched(launch.handle()));
      } catch (LedgerException e) {
        throw new MigrationAborted(
            AbortReason.IO_ERROR, "the target cannot keep its ledger: " + e.getMessage(), e);
      } catch (IOException e) {
        throw new MigrationAborted(
            AbortReason.GUEST_CONTROL_FAILED,
            "the guest cannot be launched on the target: " + e.getMessage(),
            e);
      }
    }
    memory.beginTaking();
    long deadline = System.nanoTime() + limit.toNanos();
    while (!reached(deadline)) {
      if (memory.cannotBeTaken()) {
        awaitReserved();
      }
      requireAlive();
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
    if (description.anonymousMemory()) {
      return;
    }
    List<ImageRegion> images = memory.image().orElseThrow().regions();
    try {
      Optional<QemuMachine> machine = control().machine();
      Optional<String> objection =
          machine
              .flatMap(ours -> QemuFitness.objection(ours, images))
              .or(() -> machine.flatMap(ours -> difference(theirs, ours)));
      if (objection.isPresent()) {
        throw new MigrationAborted(
            AbortReason.LAYOUT_MISMATCH, "on the target, " + objection.get());
      }
    } catch (GuestControlException e) {
      throw new MigrationAborted(
          AbortReason.GUEST_CONTROL_FAILED,
          "the guest on the target cannot be controlled: " + e.getMessage(),
          e);
    }
  }

  private static Optional<String> difference(List<String> theirs, QemuMachine ours) {
    List<String> parts = ours.parts();
    return theirs.isEmpty()
        ? Optional.empty()
        : MachineDifference.between(theirs, Offer.machineOf(parts));
  }

  /**
   * Takes over the page faults of the guest's memory; after {@link #launch}. A guest whose memory
   * is in no file hands them over later and by itself: then it is listened for.
   *
   * @throws IOException whose message says why they cannot be had; the guest is as it was
   */
  public void takeFaults() throws IOException {
    if (description.anonymousMemory()) {
      awaited = FaultHandover.listen(description.handover().orElseThrow());
    } else {
      GuestHandover given =
          FaultHandover.request(description, control(), memory.image().orElseThrow());
      boolean ours = false;
      try {
        // Here and not when it is served: the guest stands still then.
        FaultService.requireMapped(given, memory.image().orElseThrow());
        faults = given;
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
   * As {@link #takeFaults}, after the agent that had them is gone.
   *
   * @throws IOException as there
   */
  public void retakeFaults() throws IOException {
    faults =
        description.anonymousMemory()
            ? KeptHandover.beside(missingPages()).retake()
            : FaultHandover.requestAgain(description, control, memory.image().orElseThrow());
  }

  /** Whether {@link #takeFaults} came about, and nobody has taken or lifted them since. */
  public boolean holdsFaults() {
    return faults != null || awaited != null;
  }

  /**
   * Whether the guest hands its page faults over while it loads its state, and must be served
   * before that is done.
   */
  public boolean handsOverAtLoad() {
    return description.anonymousMemory();
  }

  /** Makes a thread that waits in {@link #giveFaults} give up. Any thread. */
  public void expectNoHandover() {
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
  public GuestHandover giveFaults() throws IOException {
    HandoverListener listening = awaited;
    if (listening != null) {
      try (listening) {
        // Half of the load's own time: the load itself is to fail because of this, not before it.
        return kept(listening.accept(description.control().timeout().dividedBy(2)));
      } finally {
        awaited = null;
      }
    }
    GuestHandover given = faults;
    if (given == null) {
      throw new IllegalStateException("the guest's page faults were not taken");
    }
    faults = null;
    return given;
  }

  private GuestHandover kept(GuestHandover given) throws IOException {
    boolean written = false;
    try {
      KeptHandover.beside(missingPages()).write(given);
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
  public void liftFaults() {
    if (faults != null) {
      faults.unregister();
      // Closed later: the guest stands still.
      lifted = faults;
      faults = null;
    }
    expectNoHandover();
  }

  /** Where it is written which pages are missing. */
  public Path missingPages() {
    return TargetLedger.missingPages(ledger);
  }

  private boolean reached(long deadline) throws MigrationAborted {
    GuestControl attempt = null;
    try {
      attempt = place.connect();
      GuestStatus status = attempt.status();
      if (!status.awaitsDeviceState()) {
        attempt.close();
        throw new MigrationAborted(
            AbortReason.GUEST_CONTROL_FAILED,
            "the guest on the target is '"
                + status.name()
                + "' and does not wait for a migration: start it with its option for that");
      }
      attempt.warmUp();
      control = attempt;
      return true;
    } catch (GuestControlException e) {
      if (attempt != null) {
        attempt.close();
      }
      if (launch == null || System.nanoTime() - deadline > 0) {
        throw new MigrationAborted(
            AbortReason.GUEST_CONTROL_FAILED,
            "the guest on the target cannot be controlled: " + e.getMessage(),
            e);
      }
      return false;
    }
  }

  private void requireAlive() throws MigrationAborted {
    if (launch != null && !launch.isAlive()) {
      throw new MigrationAborted(
          AbortReason.GUEST_ENDED, "the guest launched on the target ended" + launch.lastWords());
    }
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

  public IncomingMemory memory() {
    return memory;
  }

  /** The line to the guest; after {@link #launch}. */
  public GuestControl control() {
    if (control == null) {
      throw new IllegalStateException("the guest is not reached yet");
    }
    return control;
  }

  /**
   * Makes a new line to the guest, where there is none or the old one may be of no use any more.
   *
   * @param limit for making it and then for each call
   */
  public GuestControl reach(Duration limit) throws GuestControlException {
    hangUp();
    GuestControl made = place.connect(limit);
    control = made;
    return made;
  }

  /** Closes the line to the guest: most guests answer one at a time, and its user may want it. */
  public void hangUp() {
    if (control != null) {
      control.close();
      control = null;
    }
  }

  /** Whether the guest's process has ended, as far as that is known. Does not block. */
  public boolean hasEnded() {
    return launch != null ? !launch.isAlive() : control != null && control.gone();
  }

  /** Whether it has ended, or does so in that time where the process is known. */
  public boolean endsWithin(Duration limit) {
    return launch != null ? launch.endsWithin(limit) : hasEnded();
  }

  /** The guest's process, if it was launched here. */
  public Optional<GuestLaunch> launched() {
    return Optional.ofNullable(launch);
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
      LOG.error("migration {}: {}", migration, e.getMessage());
      return false;
    }
  }

  /**
   * Ends the launched process and removes the image, unless that is a copy now. What cannot be
   * removed is logged, and the ledger tells the sweep.
   */
  public void remove() {
    liftFaults();
    closeLifted();
    hangUp();
    if (launch != null) {
      launch.end();
    }
    switch (description.control()) {
      case ControlDescription.Qmp qmp -> {
        if (launch != null) {
          Leftovers.removeSocket(qmp.socket());
        }
      }
      // What a command has started is as much of this migration as what was launched.
      case ControlDescription.Commands _ -> MigrationProcesses.end(migration, null);
    }
    removeMissingPages();
    if (memory.remove() && ledger.current() == LedgerState.ABANDONED) {
      try {
        ledger.update(ledger.fields().with(TargetLedger.CLEANED, "true"));
      } catch (LedgerException e) {
        LOG.warn("migration {}: {}", migration, e.getMessage());
      }
    }
    ledger.close();
  }

  /** Nothing is missing any more, or ever will be. */
  public void removeMissingPages() {
    try {
      Files.deleteIfExists(missingPages());
      KeptHandover.beside(missingPages()).remove();
    } catch (IOException e) {
      LOG.warn("migration {}: {}", migration, e.toString());
    }
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

  private void closeLifted() {
    if (lifted != null) {
      lifted.close();
      lifted = null;
    }
  }

  /** Lets go of everything but the ledger. */
  public void letGo() {
    if (faults != null) {
      // Closed without lifting them: what waits for a page goes on waiting.
      faults.close();
      faults = null;
    }
    closeLifted();
    expectNoHandover();
    hangUp();
    memory.close();
  }
}
