package io.pageferry.source;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.protocol.page.Digest;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.ImageLayout;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.util.List;

/** The digest of an image as it is now, read anew from beginning to end. */
final class ImageReread {
  private static final int PIECE = 64;

  private ImageReread() {}

  /** The page numbers of a guest's regions, as the wire counts them. */
  static ImageLayout layout(List<ImageRegion> regions) {
    return new ImageLayout(
        regions.stream()
            .map(region -> new ImageLayout.Region(region.name(), region.bytes() / 4096))
            .toList());
  }

  /**
   * Reads everything; the guest must stand still.
   *
   * @throws InterruptedIOException if the thread was interrupted; it is not any more then
   */
  static Digest digest(GuestImage image) throws IOException {
    ByteBuf buffer = PooledByteBufAllocator.DEFAULT.directBuffer(PIECE * 4096);
    try (ImageDigest digest = new ImageDigest(layout(image.regions()))) {
      ImageDigest.Stripe stripe = digest.stripe();
      for (ImageRegion region : image.regions()) {
        image.populatedRuns(
            region.index(),
            (index, first, count) -> {
              for (long done = 0; done < count; done += PIECE) {
                if (Thread.interrupted()) {
                  throw new InterruptedIOException("the comparison with the image was interrupted");
                }
                int pages = (int) Math.min(PIECE, count - done);
                buffer.clear().writerIndex(pages * 4096);
                image.read(index, first + done, buffer.nioBuffer());
                stripe.pages(index, first + done, buffer);
              }
            });
      }
      return digest.value();
    } finally {
      buffer.release();
    }
  }
}
