package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.process.MigrationProcesses;
import io.pageferry.guest.attach.AttachException;
import io.pageferry.guest.attach.GuestMemoryAccess;
import io.pageferry.guest.attach.GuestProcess;
import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.control.GuestPlace;
import io.pageferry.guest.control.GuestStatus;
import io.pageferry.guest.control.QemuFitness;
import io.pageferry.guest.control.QemuMachine;
import io.pageferry.guest.description.Afterwards;
import io.pageferry.guest.description.Attaching;
import io.pageferry.guest.description.ControlDescription;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.dirty.DigestTracker;
import io.pageferry.guest.dirty.DirtyTracker;
import io.pageferry.guest.dirty.SentContent;
import io.pageferry.guest.dirty.WriteProtectTracker;
import io.pageferry.guest.handover.ForeignMemoryException;
import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.HandoverMode;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageException;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.source.MigrationSettings.Tracking;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;

/**
 * The guest on this host as the migration holds it: its locked image, its control, and the tracker
 * that follows its writes. Closing lets go of all of it and leaves the guest as it is.
 *
 * <p>Threading: the driver thread; the image may be read by all senders.
 */
final class SourceGuest implements AutoCloseable {
  private static final Logger STORY = LogOutput.story("source");

  private final GuestDescription description;
  private final GuestImage image;
  private final GuestControl control;
  private final List<String> machine;
  private final Optional<ProcessHandle> process;
  private @Nullable GuestHandover handover;
  private @Nullable DirtyTracker tracker;

  private SourceGuest(
      GuestDescription description, GuestImage image, GuestControl control, List<String> machine) {
    this.description = description;
    this.image = image;
    this.control = control;
    this.machine = machine;
    this.process = process(description, image);
  }

  /**
   * Takes hold of the image and of the guest's control.
   *
   * @param migration marks the commands that are run meanwhile
   * @throws CommandFailure with what is wrong; nothing has been changed then
   */
  static SourceGuest open(GuestDescription description, UUID migration) throws CommandFailure {
    GuestPlace place = GuestPlace.of(description, MigrationProcesses.markOfSource(migration));
    requireAble(description, place);
    GuestImage image;
    try {
      image = GuestImage.openExisting(description);
    } catch (ImageException e) {
      throw new CommandFailure(ExitCode.REFUSED, e.getMessage() + "; nothing was changed", e);
    }
    GuestControl control = null;
    try {
      control = place.connect();
      GuestStatus status = control.status();
      if (!status.running()) {
        throw new CommandFailure(
            ExitCode.REFUSED,
            "guest %s is %s, not running: only a running guest can be moved; nothing was changed"
                .formatted(description.name(), status.name()));
      }
      Optional<QemuMachine> machine = control.machine();
      if (machine.isPresent()) {
        requireMovable(description, image, machine.get());
      }
      return new SourceGuest(
          description, image, control, machine.map(QemuMachine::parts).orElse(List.of()));
    } catch (GuestControlException e) {
      closeQuietly(control);
      closeQuietly(image);
      throw new CommandFailure(
          ExitCode.REFUSED,
          "guest %s does not answer: %s; nothing was changed"
              .formatted(description.name(), e.getMessage()),
          e);
    } catch (CommandFailure | RuntimeException e) {
      closeQuietly(control);
      closeQuietly(image);
      throw e;
    }
  }

  /** What a control cannot do is known before it is asked anything. */
  private static void requireAble(GuestDescription description, GuestPlace place)
      throws CommandFailure {
    Optional<String> objection = place.objectionToSend(description.afterwards() == Afterwards.QUIT);
    if (objection.isPresent()) {
      throw cannotMove(description, objection.get());
    }
  }

  private static CommandFailure cannotMove(GuestDescription description, String objection) {
    return new CommandFailure(
        ExitCode.REFUSED,
        "guest %s cannot be moved: %s; nothing was changed"
            .formatted(description.name(), objection));
  }

  /**
   * The process of a guest that is controlled by commands, which say less of it than a connection
   * does; empty if it cannot be told.
   */
  private static Optional<ProcessHandle> process(GuestDescription description, GuestImage image) {
    if (!(description.control() instanceof ControlDescription.Commands)) {
      return Optional.empty();
    }
    try {
      return ProcessHandle.of(GuestProcess.of(image));
    } catch (IOException e) {
      STORY.debug("which process guest {} is", description.name(), e);
      return Optional.empty();
    }
  }

  /** A QEMU says itself whether all of its memory is in the described files. */
  private static void requireMovable(
      GuestDescription description, GuestImage image, QemuMachine machine) throws CommandFailure {
    Optional<String> objection = QemuFitness.objection(machine, image.regions());
    if (objection.isPresent()) {
      throw cannotMove(description, objection.get());
    }
  }

  GuestDescription description() {
    return description;
  }

  String name() {
    return description.name();
  }

  GuestImage image() {
    return image;
  }

  /** The file of each region, in their order. */
  List<String> imagePaths() {
    return image.regions().stream().map(region -> region.path().toString()).toList();
  }

  GuestControl control() {
    return control;
  }

  /** What its machine is made of, as {@link QemuMachine#parts}; empty if it does not tell. */
  List<String> machine() {
    return machine;
  }

  /** Whether its memory is had by an attach to its process: a QEMU hands nothing over. */
  boolean isAttachedTo() {
    return description.attach() == Attaching.ALWAYS
        || (!machine.isEmpty() && description.attach() != Attaching.NEVER);
  }

  /** Its process, where that is needed to know it again and could be found. */
  Optional<ProcessHandle> process() {
    return process;
  }

  /** Pages of each region. */
  long[] regionPages() {
    List<ImageRegion> regions = image.regions();
    return regions.stream().mapToLong(region -> region.bytes() / 4096).toArray();
  }

  long memoryBytes() {
    return image.regions().stream().mapToLong(ImageRegion::bytes).sum();
  }

  /**
   * Begins to follow the guest's writes; from here on none is missed.
   *
   * @param sent what the digest tracker compares with
   * @throws CommandFailure if it cannot be followed as wanted, or its memory is not the image
   */
  DirtyTracker track(Tracking wanted, SentContent sent) throws IOException, CommandFailure {
    DirtyTracker chosen = null;
    if (wanted != Tracking.DIGEST
        && description.tracking() != io.pageferry.guest.description.Tracking.DIGEST) {
      try {
        GuestMemoryAccess access = new GuestMemoryAccess(description, control, image);
        GuestHandover taken = access.take(HandoverMode.WRITE_PROTECT);
        handover = taken;
        access
            .held()
            .ifPresent(
                held ->
                    STORY.info(
                        "Attached to the guest's process {}; one of its threads was held for {} ms.",
                        taken.pid(),
                        "%.2f".formatted(held.toNanos() / 1e6)));
        chosen = new WriteProtectTracker(taken, image);
      } catch (IOException e) {
        letGoOfHandover();
        if (isForeign(e)) {
          throw foreign(e);
        }
        if (wanted == Tracking.USERFAULTFD) {
          throw new CommandFailure(
              ExitCode.REFUSED,
              "the kernel cannot track guest %s: %s; nothing was changed (without --tracking"
                      .formatted(name(), e.getMessage())
                  + " userfaultfd it would be moved by comparing digests)",
              e);
        }
        STORY.warn(
            "The kernel cannot track this guest ({}); its pages are compared by digest instead:"
                + " every round and the final pause read all of its memory once more.",
            e.getMessage());
      }
    }
    if (chosen == null) {
      requireItsMemory();
      chosen = new DigestTracker(image, sent);
    }
    tracker = chosen;
    tracker.arm();
    return tracker;
  }

  /**
   * Refuses an image that is nobody's memory, where nothing else would find that out: a guest that
   * was moved without its memory is lost.
   */
  void requireItsMemory() throws CommandFailure {
    try {
      GuestProcess.requireMapped(image);
    } catch (AttachException e) {
      throw foreign(e);
    } catch (IOException e) {
      STORY.debug("whose memory the image of guest {} is", name(), e);
    }
  }

  private static boolean isForeign(IOException e) {
    return e instanceof ForeignMemoryException
        || (e instanceof AttachException attach
            && attach.problem() == AttachException.Problem.FOREIGN);
  }

  private CommandFailure foreign(IOException e) {
    return new CommandFailure(
        ExitCode.REFUSED,
        "the memory that is described is not that of guest %s (%s): correct 'memory' in its"
                .formatted(name(), e.getMessage())
            + " description",
        e);
  }

  /**
   * Whether the guest's process has ended, as far as it can be seen from here. Not every guest
   * hands its memory over, but each has a control.
   */
  boolean gone() {
    return (handover != null && handover.guestGone())
        || control.gone()
        || process.filter(known -> !known.isAlive()).isPresent();
  }

  /** Ends the tracking; the guest goes on at full speed. */
  void stopTracking() {
    closeQuietly(tracker);
    tracker = null;
    letGoOfHandover();
  }

  private void letGoOfHandover() {
    if (handover != null) {
      // A guest that was attached to does not see to that itself.
      handover.unregister();
      handover.close();
      handover = null;
    }
  }

  @Override
  public void close() {
    stopTracking();
    closeQuietly(control);
    closeQuietly(image);
  }

  private static void closeQuietly(@Nullable AutoCloseable resource) {
    if (resource == null) {
      return;
    }
    try {
      resource.close();
    } catch (Exception e) {
      STORY.debug("closing {} failed", resource, e);
    }
  }
}
