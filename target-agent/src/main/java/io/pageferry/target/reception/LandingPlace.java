package io.pageferry.target.reception;

import io.pageferry.guest.fault.FaultService;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.page.Digest;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.ImageLayout;
import io.pageferry.target.MigrationAborted;
import io.pageferry.target.content.GuestContents;
import io.pageferry.target.incoming.PopulatedPages;
import org.jspecify.annotations.Nullable;

/**
 * Where a guest's pages land, whichever connection they come by: in its image's files until the
 * guest may run, by its fault service afterwards. Keeps the running digest of what landed.
 *
 * <p>Made, moved and closed by the driver; any thread may ask for a berth.
 */
final class LandingPlace implements AutoCloseable {
  private final ImageLayout layout;
  private final @Nullable GuestImage image;
  private final ImageDigest digest;
  private final @Nullable EarlierPages earlier;
  private final @Nullable GuestContents contents;
  private volatile @Nullable FaultService faults;

  /**
   * @param image null when the memory is the guest's own and no file: then nothing can land before
   *     its fault service is there
   * @throws MigrationAborted NO_MEMORY when there is none for the digest
   */
  LandingPlace(ImageLayout layout, @Nullable GuestImage image) throws MigrationAborted {
    this(layout, image, null, null);
  }

  /**
   * @param image null when the memory is the guest's own and no file: then nothing can land before
   *     its fault service is there
   * @param earlier what the image holds from an earlier time; null if it is new
   * @param contents where pages may be found by their digests; null if nothing is looked for
   * @throws MigrationAborted NO_MEMORY when there is none for the digest
   */
  LandingPlace(
      ImageLayout layout,
      @Nullable GuestImage image,
      @Nullable EarlierPages earlier,
      @Nullable GuestContents contents)
      throws MigrationAborted {
    this.layout = layout;
    this.contents = contents;
    this.earlier = earlier;
    this.image = image;
    try {
      this.digest = new ImageDigest(layout);
    } catch (OutOfMemoryError e) {
      throw new MigrationAborted(
          AbortReason.NO_MEMORY,
          "the target agent has no memory left for the digest of so large a guest: give it more"
              + " with -XX:MaxDirectMemorySize",
          e);
    }
  }

  ImageLayout layout() {
    return layout;
  }

  /** For one channel more. */
  Berth berth() {
    FaultService service = faults;
    if (service != null) {
      return new FaultBerth(service, digest.stripe());
    }
    return image == null
        ? new NoBerth()
        : new ImageBerth(
            image, digest.stripe(), earlier, contents == null ? null : contents.search());
  }

  /** From here on every berth is one of the fault service's. */
  void serveFaults(FaultService service) {
    faults = service;
  }

  /** Which pages have landed with content. No berth may be in use. */
  PopulatedPages content() {
    PopulatedPages content = PopulatedPages.none(layout.regions().size());
    ImageDigest.Stripe stripe = digest.stripe();
    for (int region = 0; region < layout.regions().size(); region++) {
      for (long page = 0; page < layout.regions().get(region).pages(); page++) {
        if (stripe.haveContent(region, page, 1)) {
          content.add(region, page, 1);
        }
      }
    }
    return content;
  }

  /** The running digest; exact while nothing lands. */
  Digest digest() {
    return digest.value();
  }

  /** No berth may be in use any more. */
  @Override
  public void close() {
    digest.close();
  }
}
