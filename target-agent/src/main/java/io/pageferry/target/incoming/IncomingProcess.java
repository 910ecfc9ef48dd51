package io.pageferry.target.incoming;

import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerFields;
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
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Offer;
import io.pageferry.target.MigrationAborted;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The process that is to be the guest on this host, launched here or by its user, and the line to
 * it. There is at most one line at a time: most guests answer only one. It ends in {@link #end} or,
 * where the guest stays, in {@link #hangUp}.
 *
 * <p>One thread at a time.
 */
public final class IncomingProcess {
  private static final Logger LOG = LoggerFactory.getLogger(IncomingProcess.class);

  private final GuestDescription description;
  private final OwnershipLedger ledger;
  private final GuestPlace place;
  private @Nullable GuestLaunch launch;
  private @Nullable GuestControl control;

  IncomingProcess(GuestDescription description, OwnershipLedger ledger) {
    this.description = description;
    this.ledger = ledger;
    this.place = GuestPlace.of(description, MigrationProcesses.markOfTarget(ledger.migration()));
  }

  /** Launches the guest, if that is ours to do, and writes down its process. */
  void launch() throws MigrationAborted {
    if (description.launch().isEmpty()) {
      return;
    }
    try {
      launch = GuestLaunch.start(description, ledger.migration());
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

  /**
   * Tries once to reach a guest that waits for its device state. One that was not launched here is
   * there or is not; one that was may take its time.
   *
   * @param deadline by {@link System#nanoTime}; until then it is no failure that a launched one is
   *     not there
   * @return whether the line is made
   */
  boolean reachWaiting(long deadline) throws MigrationAborted {
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

  /**
   * Sees to it that a guest which was launched here has not ended yet.
   *
   * @throws MigrationAborted GUEST_ENDED if it has
   */
  public void requireAlive() throws MigrationAborted {
    if (launch != null && !launch.isAlive()) {
      throw new MigrationAborted(
          AbortReason.GUEST_ENDED, "the guest launched on the target ended" + launch.lastWords());
    }
  }

  /**
   * Of a guest that another agent has launched, by what the ledger says of that.
   *
   * @throws MigrationAborted GUEST_ENDED if it has ended
   */
  void requireLaunchedAlive() throws MigrationAborted {
    LedgerFields.LaunchedProcess process = ledger.fields().launched();
    if (process != null && MigrationProcesses.find(ledger.migration(), process.find()).isEmpty()) {
      throw new MigrationAborted(
          AbortReason.GUEST_ENDED, "the guest's process on the target ended");
    }
  }

  /**
   * Makes the line to a guest that is taken up again. One that does not answer may be waiting for a
   * page itself, as QEMU's main loop does: it gets its pages first, and answers then.
   *
   * @param memoryIsNobodys asked where nobody is at its control, which is not enough to say that it
   *     has ended: its user may have taken the socket away
   * @throws MigrationAborted GUEST_ENDED if it is not there any more
   */
  void reachAgain(BooleanSupplier memoryIsNobodys) throws MigrationAborted {
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
      control = attempt;
    } catch (GuestControlException e) {
      if (attempt != null) {
        attempt.close();
      }
      if (place.isDeserted() && memoryIsNobodys.getAsBoolean()) {
        throw new MigrationAborted(
            AbortReason.GUEST_ENDED,
            "the guest's process on the target ended while no agent was there: nobody answers "
                + place.how()
                + ", and its memory is no process's",
            e);
      }
      LOG.debug("guest '{}' is taken up without being asked", description.name(), e);
    }
  }

  /**
   * Sees to it that a QEMU waits with the memory that was reserved, and that its machine is made of
   * what the source's is.
   *
   * @param theirs the parts of the source's machine; empty if it did not tell
   * @param images the memory that was reserved
   */
  void requireSameMachine(List<String> theirs, List<ImageRegion> images) throws MigrationAborted {
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

  /** The line to the guest, which there is. */
  public GuestControl control() {
    if (control == null) {
      throw new IllegalStateException("the guest is not reached yet");
    }
    return control;
  }

  /** As {@link #control}; null if there is none. */
  @Nullable GuestControl line() {
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
   * Ends what was launched here, with its socket, and what a command has started; another's guest
   * is left alone.
   */
  void end() {
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
      case ControlDescription.Commands _ -> MigrationProcesses.end(ledger.migration(), null);
    }
  }
}
