package io.pageferry.target.reception;

import io.netty.buffer.ByteBuf;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.PageBatch;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Lands pages in the image's files, while the guest stands still.
 *
 * <p>A zero page becomes a hole, also where memory was reserved or an older page had landed: holes
 * stay holes, and read as zeros.
 */
final class ImageBerth implements Berth {
  private final GuestImage image;
  private final ImageDigest.Stripe stripe;

  /** A run of zero pages that may go on; punching is a system call, so neighbours share one. */
  private int zeroRegion;

  private long zeroFirst;
  private long zeroCount;

  ImageBerth(GuestImage image, ImageDigest.Stripe stripe) {
    this.image = image;
    this.stripe = stripe;
  }

  @Override
  public void pages(int region, long firstPage, ByteBuf data) throws IOException {
    flush();
    image.write(region, firstPage, data.nioBuffer());
    stripe.pages(region, firstPage, data);
  }

  /** Reads the image and not its digest, which is only asked whether there is anything. */
  @Override
  public void bases(int region, long firstPage, ByteBuffer into) throws IOException {
    flush();
    if (!stripe.haveContent(region, firstPage, into.remaining() / PageBatch.PAGE_BYTES)) {
      throw ProtocolException.violation(
          "a delta from page " + firstPage + " on, of which not all has landed with content");
    }
    image.read(region, firstPage, into);
  }

  @Override
  public void zero(int region, long firstPage, long count) throws IOException {
    if (zeroCount > 0 && zeroRegion == region && zeroFirst + zeroCount == firstPage) {
      zeroCount += count;
    } else {
      flush();
      zeroRegion = region;
      zeroFirst = firstPage;
      zeroCount = count;
    }
    stripe.zero(region, firstPage, count);
  }

  @Override
  public void flush() throws IOException {
    if (zeroCount > 0) {
      long count = zeroCount;
      zeroCount = 0;
      image.clear(zeroRegion, zeroFirst, count);
    }
  }
}
