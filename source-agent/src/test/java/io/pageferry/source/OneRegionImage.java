package io.pageferry.source;

import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.image.GuestImage;
import java.nio.file.Files;
import java.nio.file.Path;

/** The image of a guest called demo, whose memory is one file. */
final class OneRegionImage {
  private OneRegionImage() {}

  /**
   * Opens it, with its description beside it.
   *
   * @param ram its memory, which is there
   * @return the caller's to close
   */
  static GuestImage open(Path ram) throws Exception {
    Path description =
        Files.writeString(
            ram.resolveSibling("demo.yaml"),
            """
            name: demo
            memory:
              - { name: ram, path: %s }
            control: { qmp: %s }
            """
                .formatted(ram, ram.resolveSibling("qmp.sock")));
    return GuestImage.openExisting(GuestDescription.load(description));
  }
}
