package io.pageferry.source;

import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.agent.copies.GuestCopy;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.attach.AttachException;
import io.pageferry.guest.attach.GuestProcess;
import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.image.GuestImage;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;

/**
 * What becomes of the memory of a guest that has moved: a copy, from which it comes back with less.
 *
 * <p>There are guests that remove their image when they end, by its name. So the image gets a
 * second name before the paused process is ended, and keeps the first one until that process is
 * gone: whatever the process removes is its own. If there is any doubt, there is no copy; failing
 * to keep one costs the way back some time, and nothing else.
 */
final class DepartedImage {
  /** The ledger's field that says which files the guest's memory was in. */
  static final String IDENTITY = "imageIdentity";

  private static final Logger STORY = LogOutput.story("source");
  private static final Duration LAST_MOMENTS = Duration.ofSeconds(20);
  private static final long POLL_MILLIS = 10;

  private final GuestCopies copies;
  private final OwnershipLedger ledger;
  private final String guest;
  private @Nullable GuestCopy copy;
  private @Nullable ProcessHandle process;

  private DepartedImage(OwnershipLedger ledger, String guest, CopyLimits limits) {
    this.copies = new GuestCopies(ledger.stateDirectory(), limits);
    this.ledger = ledger;
    this.guest = guest;
  }

  /**
   * Ends the paused guest here, and keeps its image if that is what this migration has moved and
   * one process's memory.
   *
   * @throws IOException if it does not end: its memory stays its own
   */
  static void quit(
      GuestControl control,
      OwnershipLedger ledger,
      String guest,
      GuestImage image,
      CopyLimits limits)
      throws IOException {
    DepartedImage departed = new DepartedImage(ledger, guest, limits);
    // What is at the image's path when a recovery looks may be another guest's.
    if (limits.any() && image.identity().equals(ledger.fields().more().get(IDENTITY))) {
      departed.link(image);
    }
    try {
      control.quit();
    } catch (IOException e) {
      departed.stays();
      throw e;
    }
    departed.ended();
  }

  private void link(GuestImage image) {
    try {
      // Refused if somebody else has it mapped too: memory that is shared is not the guest's alone.
      Optional<ProcessHandle> found = ProcessHandle.of(GuestProcess.of(image));
      if (found.isEmpty()) {
        return;
      }
      process = found.get();
      String peer = MigrationFields.peerName(ledger.fields());
      copy = copies.leave(ledger.migration(), guest, peer, image).orElse(null);
    } catch (AttachException e) {
      STORY.info("No copy of guest {} is kept here: {}.", guest, e.getMessage());
    } catch (IOException | RuntimeException e) {
      none(e);
    }
  }

  /** The process was told to end, and did not object. */
  private void ended() {
    GuestCopy leaving = copy;
    ProcessHandle last = process;
    if (leaving == null || last == null) {
      return;
    }
    if (!isGone(last)) {
      STORY.warn(
          "No copy of guest {} is kept here: its process {} is still there {} s after it was told"
              + " to end.",
          guest,
          last.pid(),
          LAST_MOMENTS.toSeconds());
      stays();
      return;
    }
    try {
      copies.settle(leaving).ifPresent(left -> STORY.info("Kept here: {}.", left.sentence()));
      copies.removeOver();
    } catch (IOException | RuntimeException e) {
      none(e);
    }
  }

  /** The process did not end: the memory is still its own, and no copy. */
  private void stays() {
    if (copy != null) {
      drop(ledger, copies);
    }
  }

  /** Removes what an agent that was killed meanwhile may have left of a copy that never counted. */
  static void drop(OwnershipLedger ledger) {
    drop(ledger, new GuestCopies(ledger.stateDirectory(), CopyLimits.NONE));
  }

  private static void drop(OwnershipLedger ledger, GuestCopies copies) {
    try {
      copies.drop(ledger.migration());
    } catch (IOException | RuntimeException e) {
      STORY.warn("The second name of the image could not be removed: {}.", e.toString());
    }
  }

  private void none(Exception why) {
    drop(ledger, copies);
    STORY.warn("No copy of guest {} is kept here: {}.", guest, why.toString());
  }

  /** Also for a thread that has been interrupted: the guest has moved, and this is soon over. */
  private static boolean isGone(ProcessHandle process) {
    long deadline = System.nanoTime() + LAST_MOMENTS.toNanos();
    boolean interrupted = false;
    try {
      while (!GuestProcess.hasEnded(process)) {
        if (System.nanoTime() - deadline > 0) {
          return false;
        }
        try {
          Thread.sleep(POLL_MILLIS);
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
      return true;
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
