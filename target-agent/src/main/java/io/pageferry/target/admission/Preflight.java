package io.pageferry.target.admission;

import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.control.GuestPlace;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.description.MemoryDescription;
import io.pageferry.guest.linux.KernelFeatures;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.PostcopyWish;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.target.MigrationAborted;
import io.pageferry.target.incoming.IncomingGuest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds out whether this host can take a guest, and holds for it what it needs, before its source
 * sends a page: who asks, what for, whether the layouts match, then memory, then the guest's
 * process. Cheap questions come first. Each failure has its own reason and sentence, and leaves
 * nothing.
 *
 * <p>Immutable; any thread.
 */
public final class Preflight {
  private static final Logger LOG = LoggerFactory.getLogger(Preflight.class);

  private final GuestFolder guests;
  private final AllowList allowed;
  private final Path stateDirectory;
  private final Duration launchLimit;
  private final GuestCopies copies;

  public Preflight(
      GuestFolder guests,
      AllowList allowed,
      Path stateDirectory,
      Duration launchLimit,
      GuestCopies copies) {
    this.guests = guests;
    this.allowed = allowed;
    this.stateDirectory = stateDirectory;
    this.launchLimit = launchLimit;
    this.copies = copies;
  }

  /**
   * Reserves everything for the offered guest.
   *
   * @return the guest's place here, to be abandoned or kept by the caller
   */
  public IncomingGuest admit(Offer offer, PeerIdentity peer, Capabilities both)
      throws MigrationAborted {
    GuestFolder.checkName(offer.guest());
    authorise(offer.guest(), peer);
    requireCapability(offer.postcopy(), both);
    GuestDescription description = guests.describe(offer.guest());
    matchLayout(offer.regions(), description.memory());
    requireControl(description);
    requirePostCopy(offer, description);
    requireFree(description);
    requireFaults(offer, description);
    IncomingGuest guest =
        IncomingGuest.begin(stateDirectory, offer.migration(), description, peer.name(), copies);
    boolean admitted = false;
    try {
      List<Long> regionBytes = offer.regions().stream().map(RegionOffer::bytes).toList();
      boolean ahead = offer.mode() != MigrationMode.POSTCOPY;
      boolean recall = ahead && both.has(Capabilities.KNOWN);
      if (description.launch().isEmpty()) {
        // Reserving empties the image that is there: only once its guest has said that it waits.
        guest.launch(launchLimit);
        guest.reserve(regionBytes, ahead, recall);
      } else {
        guest.reserve(regionBytes, ahead, recall);
        guest.launch(launchLimit);
      }
      guest.requireSameMachine(offer.machine());
      // Before its page faults are taken: nobody would answer one that this prevents.
      guest.awaitReserved();
      if (offer.postcopy() != PostcopyWish.NO && both.has(Capabilities.POSTCOPY)) {
        takeFaults(offer, guest);
      }
      admitted = true;
      return guest;
    } finally {
      if (!admitted) {
        guest.renounce();
        try {
          guest.memory().keepEarlier();
        } finally {
          guest.remove();
        }
      }
    }
  }

  private void authorise(String guest, PeerIdentity peer) throws MigrationAborted {
    if (!allowed.allows(peer.name(), guest)) {
      throw new MigrationAborted(
          AbortReason.NOT_AUTHORISED,
          "the target does not allow '"
              + peer.name()
              + "' to send the guest '"
              + guest
              + "': its --allow list says who may");
    }
  }

  private static void requireCapability(PostcopyWish wish, Capabilities both)
      throws MigrationAborted {
    if (wish == PostcopyWish.REQUIRED && !both.has(Capabilities.POSTCOPY)) {
      throw new MigrationAborted(
          AbortReason.PROTOCOL_VIOLATION, "post-copy is required by a source that cannot do it");
    }
  }

  private static void requireControl(GuestDescription description) throws MigrationAborted {
    Optional<String> objection = GuestPlace.of(description).objectionToReceive();
    if (objection.isPresent()) {
      throw new MigrationAborted(
          AbortReason.GUEST_CONTROL_FAILED,
          "guest '%s' on the target: %s".formatted(description.name(), objection.get()));
    }
  }

  /**
   * Memory that is in no file is the guest's alone: nothing can be written there before it runs.
   */
  private static void requirePostCopy(Offer offer, GuestDescription description)
      throws MigrationAborted {
    if (description.anonymousMemory() && offer.mode() != MigrationMode.POSTCOPY) {
      throw new MigrationAborted(
          AbortReason.NOT_AN_IMAGE,
          "the memory of guest '"
              + offer.guest()
              + "' is in no file on the target, so it can only come after the guest: migrate with"
              + " --mode postcopy");
    }
  }

  /** A guest that we launch may do what we may: whether that is enough is known beforehand. */
  private static void requireFaults(Offer offer, GuestDescription description)
      throws MigrationAborted {
    if (offer.postcopy() == PostcopyWish.REQUIRED) {
      try {
        requireKernel(description);
      } catch (IOException e) {
        throw noFaults(description, e);
      }
    }
  }

  private static void requireKernel(GuestDescription description) throws IOException {
    if (!description.launch().isEmpty()) {
      KernelFeatures.probed().require(KernelFeatures.MISSING_FAULTS);
    }
  }

  private static void takeFaults(Offer offer, IncomingGuest guest) throws MigrationAborted {
    try {
      requireKernel(guest.description());
      guest.takeFaults();
    } catch (IOException e) {
      if (offer.postcopy() == PostcopyWish.REQUIRED) {
        throw noFaults(guest.description(), e);
      }
      LOG.info("guest '{}' comes without post-copy: {}", offer.guest(), e.getMessage());
    }
  }

  private static MigrationAborted noFaults(GuestDescription guest, IOException cause) {
    return new MigrationAborted(
        AbortReason.NO_PERMISSION,
        "the target cannot serve the page faults of guest '"
            + guest.name()
            + "', which post-copy needs"
            // Before the cause, which is cut where it is longer than an ABORT.
            + (guest.anonymousMemory()
                ? ": "
                : "; migrate with --mode precopy --on-stall pause, or see to this: ")
            + cause.getMessage(),
        cause);
  }

  /** Regions are paired by their order, as the guest has them; names and sizes must be the same. */
  private static void matchLayout(List<RegionOffer> offered, List<MemoryDescription> described)
      throws MigrationAborted {
    if (offered.size() != described.size()) {
      throw mismatch(
          "the guest has "
              + offered.size()
              + " memory regions on the source, "
              + described.size()
              + " in the target's description");
    }
    for (int i = 0; i < offered.size(); i++) {
      RegionOffer theirs = offered.get(i);
      MemoryDescription ours = described.get(i);
      if (!theirs.name().equals(ours.name())) {
        throw mismatch(
            "memory region "
                + i
                + " is named '"
                + theirs.name()
                + "' on the source, '"
                + ours.name()
                + "' in the target's description");
      }
      if (ours.bytes().isPresent() && ours.bytes().getAsLong() != theirs.bytes()) {
        throw mismatch(
            "memory region '"
                + theirs.name()
                + "' has "
                + theirs.bytes()
                + " bytes on the source, "
                + ours.bytes().getAsLong()
                + " in the target's description");
      }
    }
  }

  private static MigrationAborted mismatch(String sentence) {
    return new MigrationAborted(AbortReason.LAYOUT_MISMATCH, sentence);
  }

  /**
   * Whether the names that the guest will have here are free. Asked before the ledger names them as
   * ours: what a ledger names is removed by the sweep.
   */
  private static void requireFree(GuestDescription description) throws MigrationAborted {
    if (description.launch().isEmpty()) {
      return;
    }
    GuestPlace place = GuestPlace.of(description);
    try {
      if (place.isTaken()) {
        throw new MigrationAborted(
            AbortReason.BUSY, "a guest runs on the target already and answers " + place.how());
      }
    } catch (GuestControlException e) {
      throw new MigrationAborted(
          AbortReason.GUEST_CONTROL_FAILED,
          "whether a guest runs on the target already cannot be told: " + e.getMessage(),
          e);
    }
    for (MemoryDescription memory : description.memory()) {
      if (!memory.anonymous() && Files.exists(memory.path(), LinkOption.NOFOLLOW_LINKS)) {
        throw new MigrationAborted(
            AbortReason.IMAGE_EXISTS,
            "the target has a file "
                + memory.path()
                + " already: remove it if no guest uses it, or run 'pageferry target sweep'");
      }
    }
  }
}
