package io.pageferry.target.incoming;

import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.agent.copies.GuestCopy;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.attach.AttachException;
import io.pageferry.guest.attach.GuestProcess;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.description.MemoryDescription;
import io.pageferry.guest.image.GuestImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The memory of a guest from one time to the next: what a copy that was kept here brings back to
 * the image, and the copy that is kept of an attempt that fails. None of it is needed: whatever
 * goes wrong with a copy costs the copy and not the migration.
 *
 * <p>The image is its caller's. One thread at a time.
 */
final class EarlierMemory {
  private static final Logger LOG = LoggerFactory.getLogger(EarlierMemory.class);

  private final GuestDescription description;
  private final OwnershipLedger ledger;
  private final GuestCopies copies;

  /** What the image holds from an earlier time. */
  private @Nullable PopulatedPages populated;

  EarlierMemory(GuestDescription description, OwnershipLedger ledger, GuestCopies copies) {
    this.description = description;
    this.ledger = ledger;
    this.copies = copies;
  }

  /**
   * The image that this guest left here, or that an attempt to come left, with what it holds and
   * all of its memory taken. The ledger says that its files are ours before they have the image's
   * names.
   *
   * @param room of which its holes are taken
   * @return the caller's to close; null if there is none that can be used
   */
  @Nullable GuestImage giveBack(List<Long> regionBytes, MemoryRoom room) {
    GuestImage opened = null;
    try {
      Optional<GuestCopy> copy =
          copies.find(description.name(), ledger.fields().peer(), places(regionBytes));
      if (copy.isEmpty()) {
        return null;
      }
      // Before the files have the image's names: they are older than this ledger.
      ledger.update(ledger.fields().with(TargetLedger.RETURNED, GuestCopies.identity(copy.get())));
      if (!copies.giveBack(copy.get())) {
        return null;
      }
      opened = GuestImage.openKept(description, regionBytes);
      if (isSomebodysMemory(opened)) {
        LOG.warn("the copy of guest {} is still a process's memory", description.name());
        discard(opened);
        return null;
      }
      // Before all of it is taken, which leaves no holes.
      PopulatedPages found = PopulatedPages.of(opened);
      room.reserve(opened);
      populated = found;
      return opened;
    } catch (IOException e) {
      LOG.warn("the copy of guest {} cannot be used: {}", description.name(), e.getMessage());
      discard(opened);
      return null;
    }
  }

  private List<GuestCopy.Place> places(List<Long> regionBytes) {
    List<GuestCopy.Place> places = new ArrayList<>();
    for (MemoryDescription memory : description.memory()) {
      places.add(
          new GuestCopy.Place(
              memory.name(),
              memory.path().toAbsolutePath().normalize().toString(),
              regionBytes.get(places.size())));
    }
    return places;
  }

  /** A paused guest that did not end when it left would share its memory with this one. */
  private static boolean isSomebodysMemory(GuestImage opened) throws IOException {
    try {
      GuestProcess.of(opened);
      return true;
    } catch (AttachException e) {
      return e.problem() != AttachException.Problem.NOBODY_MAPS;
    }
  }

  /** What had its old names back and is of no use: an image of this migration is to be made. */
  private void discard(@Nullable GuestImage opened) {
    try {
      String identity = ledger.fields().more().getOrDefault(TargetLedger.RETURNED, "");
      for (MemoryDescription memory : description.memory()) {
        if (Files.exists(memory.path(), LinkOption.NOFOLLOW_LINKS)
            && GuestCopies.isOneOf(identity, memory.path())) {
          Files.delete(memory.path());
        }
      }
    } catch (IOException e) {
      LOG.warn("migration {}: {}", ledger.migration(), e.toString());
    } finally {
      if (opened != null) {
        opened.close();
      }
    }
  }

  /** What the image holds from an earlier time; empty unless {@link #giveBack} gave one. */
  Optional<PopulatedPages> populated() {
    return Optional.ofNullable(populated);
  }

  /** Whether {@link #keep} could keep anything. */
  boolean mayKeep() {
    return !description.launch().isEmpty() && copies.any();
  }

  /**
   * Keeps what an image holds as a copy, for the next attempt, if copies are kept here. When
   * nothing lands any more.
   *
   * @param worth which pages have come; those of an earlier time are added
   * @return whether there is a copy now
   */
  boolean keep(GuestImage image, PopulatedPages worth) {
    if (!mayKeep()) {
      return false;
    }
    try {
      if (populated != null) {
        worth.add(populated);
      }
      worth.clearOthers(image);
      return copies
          .keep(ledger.migration(), description.name(), ledger.fields().peer(), image)
          .isPresent();
    } catch (IOException | RuntimeException e) {
      LOG.warn("what came of guest {} cannot be kept: {}", description.name(), e.toString());
      return false;
    }
  }

  /** The guest is here: what was left of an earlier time is of no use any more. */
  void forget() {
    try {
      copies.forget(ledger.fields().images());
    } catch (IOException e) {
      LOG.warn("migration {}: {}", ledger.migration(), e.toString());
    }
  }
}
