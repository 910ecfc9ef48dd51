package io.pageferry.target.reception;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.page.ContentHash;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.PageBatch;
import io.pageferry.target.content.ContentSearch;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Lands pages in the image's files, while the guest stands still.
 *
 * <p>A zero page becomes a hole, also where memory was reserved or an older page had landed: holes
 * stay holes, and read as zeros.
 */
final class ImageBerth implements Berth {
  private static final int PAGE = PageBatch.PAGE_BYTES;

  private final GuestImage image;
  private final ImageDigest.Stripe stripe;
  private final @Nullable EarlierPages earlier;
  private final @Nullable ContentSearch contents;

  /** A run of zero pages that may go on; punching is a system call, so neighbours share one. */
  private int zeroRegion;

  private long zeroFirst;
  private long zeroCount;

  /**
   * @param earlier what the image holds from an earlier time; null for an image that was new
   * @param contents finds pages by their digests; null if nothing is looked for
   */
  ImageBerth(
      GuestImage image,
      ImageDigest.Stripe stripe,
      @Nullable EarlierPages earlier,
      @Nullable ContentSearch contents) {
    this.image = image;
    this.stripe = stripe;
    this.earlier = earlier;
    this.contents = contents;
  }

  @Override
  public void pages(int region, long firstPage, ByteBuf data) throws IOException {
    flush();
    land(region, firstPage, data.readableBytes() / PageBatch.PAGE_BYTES);
    image.write(region, firstPage, data.nioBuffer());
    stripe.pages(region, firstPage, data);
  }

  @Override
  public void remember(int region, long firstPage, ByteBuf data) {
    if (contents != null) {
      contents.remember(region, firstPage, data);
    }
  }

  private void land(int region, long firstPage, long count) {
    if (earlier != null) {
      earlier.landed(region, firstPage, count);
    }
  }

  /** The digest is of what is here: should that not be what was named, the comparison finds it. */
  @Override
  public void known(int region, long firstPage, int count) throws IOException {
    flush();
    if (earlier == null || !earlier.take(region, firstPage, count)) {
      throw notKnown(firstPage, count);
    }
    int bytes = count * PageBatch.PAGE_BYTES;
    ByteBuf there = PooledByteBufAllocator.DEFAULT.directBuffer(bytes, bytes);
    try {
      image.read(region, firstPage, there.nioBuffer(0, bytes));
      stripe.pages(region, firstPage, there.writerIndex(bytes));
    } finally {
      there.release();
    }
  }

  /** Not taken: they land when they are put together. */
  @Override
  public void earlier(int region, long firstPage, int count, ByteBuffer into) throws IOException {
    flush();
    if (earlier == null || !earlier.holds(region, firstPage, count)) {
      throw notKnown(firstPage, count);
    }
    image.read(region, firstPage, into);
  }

  private static ProtocolException notKnown(long firstPage, int count) {
    return ProtocolException.violation(
        "%d pages from %d on are not known here, or have landed".formatted(count, firstPage));
  }

  @Override
  public int references(
      int region, long firstPage, int count, ByteBuf digests, byte[] findings, int at)
      throws IOException {
    flush();
    int held = 0;
    ByteBuf page = PooledByteBufAllocator.DEFAULT.directBuffer(PAGE, PAGE);
    try {
      for (int i = 0; i < count; i++) {
        int digest = digests.readerIndex() + i * ContentHash.BYTES;
        byte finding =
            contents == null
                ? Found.WANTED
                : contents.find(region, firstPage + i, digests, digest, page);
        if (finding == Found.HELD) {
          pages(region, firstPage + i, page.setIndex(0, PAGE));
          held++;
        }
        findings[at + i] = finding;
      }
    } finally {
      page.release();
    }
    return held;
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
    land(region, firstPage, count);
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

  @Override
  public void release() {
    if (contents != null) {
      contents.release();
    }
  }
}
