package io.pageferry.target.incoming;

import io.pageferry.guest.attach.GuestMemoryAccess;
import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.HandoverListener;
import io.pageferry.guest.handover.HandoverMode;
import io.pageferry.guest.image.GuestImage;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Has a guest hand over the page faults of its memory, attaches to one that does not know of that,
 * or listens for one that does so unasked.
 */
final class FaultHandover {
  private static final Logger LOG = LoggerFactory.getLogger(FaultHandover.class);

  private FaultHandover() {}

  /**
   * Listens for a guest that hands them over by itself.
   *
   * @throws IOException whose message says why that cannot be done
   */
  static HandoverListener listen(Path socket) throws IOException {
    try {
      return HandoverListener.bind(socket);
    } catch (IOException e) {
      throw new IOException(
          "cannot listen where the guest hands its memory over: " + e.getMessage(), e);
    }
  }

  /**
   * Asks the guest and takes what it sends, or attaches to it.
   *
   * @return its memory is registered from then on, and the caller's to serve or to let go
   * @throws IOException whose message says why it cannot be had
   */
  static GuestHandover request(GuestDescription description, GuestControl control, GuestImage image)
      throws IOException {
    try {
      GuestMemoryAccess access = new GuestMemoryAccess(description, control, image);
      GuestHandover taken = access.take(HandoverMode.MISSING);
      access
          .held()
          .ifPresent(
              held ->
                  LOG.info(
                      "guest {}: attached to process {}, one of whose threads was held for {} ms",
                      description.name(),
                      taken.pid(),
                      "%.2f".formatted(held.toNanos() / 1e6)));
      return taken;
    } catch (GuestControlException e) {
      throw explained(e);
    }
  }

  /**
   * As {@link #request}, of memory that another agent has served before.
   *
   * @param control null when the guest does not answer now
   */
  static GuestHandover requestAgain(
      GuestDescription description, @Nullable GuestControl control, GuestImage image)
      throws IOException {
    try {
      return new GuestMemoryAccess(description, control, image).takeAgain();
    } catch (GuestControlException e) {
      throw explained(e);
    }
  }

  private static IOException explained(GuestControlException e) {
    return new IOException(
        "the guest does not hand over its memory's page faults: " + e.getMessage(), e);
  }
}
