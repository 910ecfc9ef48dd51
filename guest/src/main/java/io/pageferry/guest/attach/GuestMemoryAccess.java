package io.pageferry.guest.attach;

import io.pageferry.guest.control.GuestControl;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.control.GuestRefusedException;
import io.pageferry.guest.control.PrivateFolder;
import io.pageferry.guest.description.Attaching;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.HandoverListener;
import io.pageferry.guest.handover.HandoverMode;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.linux.KernelFeatures;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How a guest's memory comes to be watched: it hands over a userfaultfd when it is asked, or knows
 * nothing of that and is attached to, as its description allows.
 *
 * <p>Of one migration, with the image that it has open and locked. One thread at a time.
 */
public final class GuestMemoryAccess {
  private static final Logger LOG = LoggerFactory.getLogger(GuestMemoryAccess.class);
  private static final Duration LIMIT = Duration.ofSeconds(5);

  private final GuestDescription description;
  private final @Nullable GuestControl control;
  private final GuestImage image;
  private Optional<Duration> held = Optional.empty();

  /**
   * @param control null when the guest does not answer, which only {@link #takeAgain} can do
   *     without
   * @param image all of the guest's memory
   */
  public GuestMemoryAccess(
      GuestDescription description, @Nullable GuestControl control, GuestImage image) {
    this.description = description;
    this.control = control;
    this.image = image;
  }

  /**
   * Takes what watches the guest's memory.
   *
   * @return registered from then on, and the caller's to use or to let go
   * @throws IOException whose message says why it cannot be had; the guest is as it was
   */
  public GuestHandover take(HandoverMode mode) throws IOException {
    if (description.attach() != Attaching.ALWAYS) {
      try {
        return ask(mode, listener -> listener.accept(LIMIT));
      } catch (GuestRefusedException e) {
        allowAttach(e);
      }
    }
    KernelFeatures.probed().require(KernelFeatures.ATTACH);
    Attach.rehearse();
    Attached attached = Attach.to(image, mode);
    held = Optional.of(attached.held());
    return attached.handover();
  }

  /**
   * Takes what watches memory that another agent, which is gone, has served before, and of which
   * pages may be missing. A guest that does not answer may wait for one of them itself: what its
   * process has open is taken then without asking it, and without holding any of its threads.
   *
   * @throws IOException as {@link #take}; the memory stays registered
   */
  public GuestHandover takeAgain() throws IOException {
    if (description.attach() == Attaching.ALWAYS) {
      return Attach.again(image).handover();
    }
    if (control != null) {
      try {
        return ask(HandoverMode.MISSING, listener -> listener.acceptAgain(LIMIT));
      } catch (GuestRefusedException e) {
        allowAttach(e);
        return Attach.again(image).handover();
      } catch (GuestControlException e) {
        LOG.debug("guest {} does not hand its memory over now", description.name(), e);
      }
    }
    return Attach.borrowed(image).handover();
  }

  /** How long a thread of the guest was held, at most; empty if it was not attached to. */
  public Optional<Duration> held() {
    return held;
  }

  private void allowAttach(GuestRefusedException refusal) throws GuestRefusedException {
    if (!refusal.commandUnknown() || description.attach() == Attaching.NEVER) {
      throw refusal;
    }
  }

  private interface Acceptance {
    GuestHandover by(HandoverListener listener) throws IOException;
  }

  private GuestHandover ask(HandoverMode mode, Acceptance accepted) throws IOException {
    GuestControl asked = Objects.requireNonNull(control, "nobody to ask");
    try (PrivateFolder folder = PrivateFolder.open()) {
      Path socket = folder.resolve("handover.sock");
      try (HandoverListener listener = HandoverListener.bind(socket)) {
        asked.requestHandover(socket, mode);
        return accepted.by(listener);
      }
    }
  }
}
