package io.pageferry.target.reception;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.protocol.page.Digest;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.ImageLayout;
import io.pageferry.protocol.page.PageBatch;
import java.io.IOException;

/**
 * Rereads an image and computes its digest afresh: what {@code --verify full} compares. Holes are
 * not read, which would fill them; they count as zeros anyway.
 */
final class FullDigest {
  private static final int PAGES_AT_ONCE = 256;

  private FullDigest() {}

  static Digest of(GuestImage image, ImageLayout layout, ByteBufAllocator allocator)
      throws IOException {
    ByteBuf buffer = allocator.directBuffer(PAGES_AT_ONCE * PageBatch.PAGE_BYTES);
    try (ImageDigest digest = new ImageDigest(layout)) {
      ImageDigest.Stripe stripe = digest.stripe();
      for (ImageRegion region : image.regions()) {
        image.populatedRuns(
            region.index(),
            (index, first, count) -> {
              for (long done = 0; done < count; done += PAGES_AT_ONCE) {
                int pages = (int) Math.min(PAGES_AT_ONCE, count - done);
                buffer.clear();
                image.read(index, first + done, buffer.nioBuffer(0, pages * PageBatch.PAGE_BYTES));
                buffer.writerIndex(pages * PageBatch.PAGE_BYTES);
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
