package io.pageferry.source;

import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.image.GuestImage;
import java.io.IOException;
import org.slf4j.Logger;

/**
 * What becomes of the memory of a guest that has moved: a copy, from which it comes back with less.
 * Done just before its paused process is ended here, because there are guests that remove their
 * image when they end; the image is locked until then.
 */
final class DepartedImage {
  private static final Logger STORY = LogOutput.story("source");

  private DepartedImage() {}

  /** Failing to keep it costs the way back some time, and nothing else. */
  static void keep(OwnershipLedger ledger, String guest, GuestImage image, CopyLimits limits) {
    GuestCopies copies = new GuestCopies(ledger.stateDirectory(), limits);
    try {
      String peer = ledger.fields().more().getOrDefault(Migration.PEER_NAME, "");
      copies
          .keep(ledger.migration(), guest, peer, image)
          .ifPresent(copy -> STORY.info("Kept here: {}.", copy.sentence()));
      copies.removeOver();
    } catch (IOException e) {
      STORY.warn("No copy of guest {} is kept here: {}.", guest, e.toString());
    }
  }
}
