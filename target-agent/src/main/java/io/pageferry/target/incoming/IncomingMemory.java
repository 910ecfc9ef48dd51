package io.pageferry.target.incoming;

import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.attach.GuestProcess;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.handover.GuestRegion;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageException;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.target.MigrationAborted;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The memory that this host holds for a guest on its way here: its image, made or found and
 * reserved, or no more than the room for it where the guest has its memory in no file. It ends in
 * {@link #remove} or, where the guest stays, in {@link #close}.
 *
 * <p>One thread at a time.
 */
public final class IncomingMemory {
  private static final Logger LOG = LoggerFactory.getLogger(IncomingMemory.class);

  private final GuestDescription description;
  private final OwnershipLedger ledger;
  private final MemoryRoom room;
  private final EarlierMemory earlier;
  private @Nullable GuestImage image;

  /** Whether all of the image's memory is booked; where it is not, pages have to stay missing. */
  private boolean held;

  /** Takes the memory of a new image while the guest's process comes up. */
  private @Nullable ReservedMemory taking;

  IncomingMemory(GuestDescription description, OwnershipLedger ledger, GuestCopies copies) {
    this.description = description;
    this.ledger = ledger;
    this.room = new MemoryRoom(copies);
    this.earlier = new EarlierMemory(description, ledger, copies);
  }

  /**
   * Makes the image; where the guest is not ours to launch, its own image is taken and emptied.
   * Memory that is in no file is the guest's to make: it is only seen to that there is as much.
   *
   * @param ahead whether the memory for all of it is held from now on. For a guest of which nothing
   *     comes before it runs it cannot be: a page that is held counts as there. Then it is only
   *     seen to that there is as much
   * @param recall whether a copy of the guest may be made use of
   */
  void reserve(List<Long> regionBytes, boolean ahead, boolean recall) throws MigrationAborted {
    if (description.anonymousMemory()) {
      room.require(regionBytes.stream().mapToLong(Long::longValue).sum());
      return;
    }
    try {
      if (!description.launch().isEmpty()) {
        held = ahead;
        image = recall ? earlier.giveBack(regionBytes, room) : null;
        if (image == null) {
          image = room.create(description, regionBytes);
          if (held && granuleBytes() > ImageRegion.PAGE_BYTES) {
            // The guest's process reserves huge pages as well, as soon as it maps them.
            room.reserve(image);
          }
        }
        return;
      }
      GuestImage opened = GuestImage.openExisting(description);
      image = opened;
      for (ImageRegion region : opened.regions()) {
        if (region.bytes() != regionBytes.get(region.index())) {
          throw new MigrationAborted(
              AbortReason.LAYOUT_MISMATCH,
              "region "
                  + region.name()
                  + " has "
                  + region.bytes()
                  + " bytes on the target, "
                  + regionBytes.get(region.index())
                  + " on the source");
        }
        opened.clear(region.index(), 0, region.pages());
      }
    } catch (ImageException e) {
      throw ImageRefusal.of(e);
    } catch (IOException e) {
      throw new MigrationAborted(
          AbortReason.IO_ERROR, "the target cannot prepare its image: " + e.getMessage(), e);
    }
  }

  /** Opens the image of a guest that is taken up again, as it is. */
  void reopen() throws MigrationAborted {
    if (!description.anonymousMemory()) {
      try {
        image = GuestImage.openExisting(description);
      } catch (ImageException e) {
        throw ImageRefusal.of(e);
      }
    }
  }

  /**
   * Begins to take the memory of an image that {@link #reserve} has made and is to hold, on a
   * thread of its own; {@link #awaitTaken} waits for that. Of no effect on any other.
   */
  void beginTaking() {
    GuestImage made = image;
    if (held && earlier.populated().isEmpty() && made != null) {
      taking = new ReservedMemory(made, room::reserve);
    }
  }

  /** Whether {@link #awaitTaken} will throw. */
  boolean cannotBeTaken() {
    return taking != null && taking.hasFailed();
  }

  /**
   * Returns when the memory is held that was to be held ahead.
   *
   * @throws MigrationAborted if there is not as much
   */
  void awaitTaken() throws MigrationAborted, InterruptedException {
    if (taking != null) {
      try {
        taking.await();
      } catch (ImageException e) {
        throw ImageRefusal.of(e);
      } catch (IOException e) {
        throw new MigrationAborted(
            AbortReason.IO_ERROR, "the target cannot prepare its image: " + e.getMessage(), e);
      }
    }
  }

  /**
   * The reserved image; after {@link #reserve} or {@link #reopen}. Empty for memory that is in no
   * file.
   */
  public Optional<GuestImage> image() {
    if (image == null && !description.anonymousMemory()) {
      throw new IllegalStateException("nothing is reserved yet");
    }
    return Optional.ofNullable(image);
  }

  /** The guest's memory, be it in files or not; after {@link #reserve}. */
  public List<GuestRegion> regions() {
    if (description.anonymousMemory()) {
      return description.memory().stream()
          .map(memory -> new GuestRegion(memory.name(), memory.bytes().orElseThrow()))
          .toList();
    }
    return image().orElseThrow().regions().stream()
        .map(region -> new GuestRegion(region.name(), region.bytes()))
        .toList();
  }

  /**
   * The largest of the pages in which the guest has its memory, as far as that is known before it
   * hands it over; after {@link #reserve}.
   */
  public int granuleBytes() {
    return image().stream()
        .flatMap(known -> known.regions().stream())
        .mapToInt(ImageRegion::pageSize)
        .max()
        .orElse(ImageRegion.PAGE_BYTES);
  }

  /**
   * Whether it is certain that no process has the image mapped; after {@link #reopen}, of memory
   * that is in files.
   *
   * @throws IOException if that cannot be told
   */
  boolean isNobodys() throws IOException {
    return GuestProcess.isNobodysMemory(image().orElseThrow());
  }

  /** What the image holds from an earlier time; after {@link #reserve}. */
  public Optional<PopulatedPages> earlierPages() {
    return earlier.populated();
  }

  /**
   * Keeps what has come of this guest as a copy, for the next attempt, if copies are kept here. To
   * be called before {@link #remove}, when nothing lands any more.
   *
   * @param worth which pages have come; those of an earlier time stay as well
   * @return whether there is a copy now
   */
  public boolean keepCopy(PopulatedPages worth) {
    return image != null && earlier.keep(image, worth);
  }

  /** Whether {@link #keepCopy} could keep anything: finding out what has come takes a while. */
  public boolean mayKeepCopy() {
    return image != null && earlier.mayKeep();
  }

  /** As {@link #keepCopy}, when nothing has come yet. */
  public void keepEarlier() {
    if (earlier.populated().isPresent()) {
      keepCopy(PopulatedPages.none(description.memory().size()));
    }
  }

  /** The guest is here: what was left of an earlier time is of no use any more. */
  public void forgetCopies() {
    earlier.forget();
  }

  /**
   * Gives the memory back: removes the image, unless that is a copy now; one that was here before
   * is emptied. What cannot be removed is logged.
   *
   * @return whether nothing is left
   */
  boolean remove() {
    if (taking != null) {
      taking.close();
    }
    if (image == null) {
      return true;
    }
    try {
      if (description.launch().isEmpty()) {
        for (ImageRegion region : image.regions()) {
          image.clear(region.index(), 0, region.pages());
        }
      } else {
        image.deleteFiles();
      }
      image.close();
      return true;
    } catch (IOException e) {
      LOG.error(
          "migration {}: the image cannot be removed: {}", ledger.migration(), e.getMessage());
      return false;
    }
  }

  /** Lets go of the image, which stays. May be called again. */
  void close() {
    if (image != null) {
      image.close();
    }
  }
}
