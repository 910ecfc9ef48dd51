package io.pageferry.target.incoming;

import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.control.PrivateFolder;
import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.HandoverListener;
import io.pageferry.guest.handover.HandoverMode;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;

/** Has a guest hand over the page faults of its memory, or listens for one that does so unasked. */
final class FaultHandover {
  private static final Duration LIMIT = Duration.ofSeconds(5);

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
   * Asks the guest and takes what it sends.
   *
   * @return its memory is registered from then on, and the caller's to serve or to let go
   * @throws IOException whose message says why it did not
   */
  static GuestHandover request(GuestControl control) throws IOException {
    return request(control, listener -> listener.accept(LIMIT));
  }

  /** As {@link #request}, of memory that another agent has served before. */
  static GuestHandover requestAgain(GuestControl control) throws IOException {
    return request(control, listener -> listener.acceptAgain(LIMIT));
  }

  private interface Acceptance {
    GuestHandover by(HandoverListener listener) throws IOException;
  }

  private static GuestHandover request(GuestControl control, Acceptance accepted)
      throws IOException {
    try (PrivateFolder folder = PrivateFolder.open()) {
      Path socket = folder.resolve("faults.sock");
      try (HandoverListener listener = HandoverListener.bind(socket)) {
        control.requestHandover(socket, HandoverMode.MISSING);
        return accepted.by(listener);
      } catch (GuestControlException e) {
        throw new IOException(
            "the guest does not hand over its memory's page faults: " + e.getMessage(), e);
      }
    }
  }
}
