package io.pageferry.target.incoming;

import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageException;
import io.pageferry.guest.linux.AvailableMemory;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.target.MigrationAborted;
import java.io.IOException;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The host's room for the memory of a guest that comes. A copy never keeps a guest out: the oldest
 * gives its room, then the next, until there is enough or none left.
 *
 * <p>Stateless; any thread.
 */
final class MemoryRoom {
  private static final Logger LOG = LoggerFactory.getLogger(MemoryRoom.class);

  private final GuestCopies copies;

  MemoryRoom(GuestCopies copies) {
    this.copies = copies;
  }

  /**
   * Makes an image; none of its memory is taken yet.
   *
   * @throws ImageException NO_MEMORY or FILE_SYSTEM_FULL if there is no room and no copy left, or
   *     another reason
   */
  GuestImage create(GuestDescription description, List<Long> regionBytes) throws IOException {
    while (true) {
      try {
        return GuestImage.create(description, regionBytes);
      } catch (ImageException e) {
        if (!lacksRoom(e) || !copies.removeOldest()) {
          throw e;
        }
      }
    }
  }

  /**
   * Takes all of an image's memory.
   *
   * @throws ImageException as {@link #create}
   */
  void reserve(GuestImage image) throws IOException {
    while (true) {
      try {
        image.reserve();
        return;
      } catch (ImageException e) {
        if (!lacksRoom(e) || !copies.removeOldest()) {
          throw e;
        }
      }
    }
  }

  private static boolean lacksRoom(ImageException e) {
    return e.problem() == ImageException.Problem.NO_MEMORY
        || e.problem() == ImageException.Problem.FILE_SYSTEM_FULL;
  }

  /**
   * Sees to it that there is as much for a guest that takes its memory itself. Nothing is taken.
   *
   * @throws MigrationAborted NO_MEMORY if there is not
   */
  void require(long bytes) throws MigrationAborted {
    long available = AvailableMemory.bytes();
    while (bytes > available && oldestCopyGaveWay()) {
      available = AvailableMemory.bytes();
    }
    if (bytes > available) {
      throw new MigrationAborted(
          AbortReason.NO_MEMORY,
          "on the target, the guest needs "
              + (bytes >> 20)
              + " MiB and this host has "
              + (available >> 20)
              + " MiB left");
    }
  }

  private boolean oldestCopyGaveWay() {
    try {
      return copies.removeOldest();
    } catch (IOException e) {
      LOG.warn("no copy could be removed to make room: {}", e.toString());
      return false;
    }
  }
}
