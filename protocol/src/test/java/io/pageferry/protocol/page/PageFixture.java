package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Capabilities;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Pages of known content, and a sink that keeps what lands. */
final class PageFixture {
  static final Capabilities ALL = Capabilities.CURRENT;
  static final List<PageCodec> CODECS = List.of(PageCodec.RAW, PageCodec.LZ4, PageCodec.ZSTD);

  private PageFixture() {}

  static ImageLayout layout(long... pages) {
    List<ImageLayout.Region> regions = new ArrayList<>();
    for (long count : pages) {
      regions.add(new ImageLayout.Region("region" + regions.size(), count));
    }
    return new ImageLayout(regions);
  }

  static byte[] noise(Random random) {
    byte[] page = new byte[PageBatch.PAGE_BYTES];
    random.nextBytes(page);
    page[0] |= 1;
    return page;
  }

  static byte[] text(Random random) {
    byte[] page = new byte[PageBatch.PAGE_BYTES];
    String[] words = {"guest ", "page ", "ferry ", "round ", "commit ", "target ", "source\n"};
    for (int at = 0; at < page.length; ) {
      byte[] word =
          words[random.nextInt(words.length)].getBytes(java.nio.charset.StandardCharsets.UTF_8);
      int length = Math.min(word.length, page.length - at);
      System.arraycopy(word, 0, page, at, length);
      at += length;
    }
    return page;
  }

  static byte[] zero() {
    return new byte[PageBatch.PAGE_BYTES];
  }

  static ByteBuf snapshot(PageEncoder encoder, List<byte[]> pages) {
    ByteBuf snapshot = encoder.snapshotBuffer(pages.size());
    pages.forEach(snapshot::writeBytes);
    return snapshot;
  }

  /** The payload of a complete frame; releases the frame with it. */
  static ByteBuf payload(ByteBuf frame) {
    return frame.skipBytes(FrameHeader.BYTES);
  }

  /** An image in an array, told page by page; fails on a page that it does not have. */
  static final class ArrayImage implements PageSink {
    final byte[][] pages;
    int zeroRuns;
    int dataRuns;
    int baseRuns;

    ArrayImage(int count) {
      pages = new byte[count][PageBatch.PAGE_BYTES];
    }

    @Override
    public void zero(int round, int region, long firstPage, long count) {
      zeroRuns++;
      for (int page = 0; page < count; page++) {
        Arrays.fill(pages[(int) firstPage + page], (byte) 0);
      }
    }

    @Override
    public void pages(int round, int region, long firstPage, ByteBuf data) throws IOException {
      dataRuns++;
      if (!data.isDirect() || data.readableBytes() % PageBatch.PAGE_BYTES != 0) {
        throw new IOException("not whole pages in direct memory");
      }
      for (int page = 0; page < data.readableBytes() / PageBatch.PAGE_BYTES; page++) {
        data.getBytes(
            data.readerIndex() + page * PageBatch.PAGE_BYTES, pages[(int) firstPage + page]);
      }
    }

    @Override
    public void known(int round, int region, long firstPage, int count) throws ProtocolException {
      requireFirst(round);
    }

    @Override
    public void earlier(int round, int region, long firstPage, int count, ByteBuffer into)
        throws ProtocolException {
      requireFirst(round);
      for (int page = (int) firstPage; page < firstPage + count; page++) {
        into.put(pages[page]);
      }
    }

    private static void requireFirst(int round) throws ProtocolException {
      if (round != 1) {
        throw ProtocolException.violation("a page that is not known here");
      }
    }

    @Override
    public void bases(int round, int region, long firstPage, ByteBuffer into)
        throws ProtocolException {
      baseRuns++;
      for (int page = (int) firstPage; into.hasRemaining(); page++) {
        if (Arrays.equals(pages[page], PageFixture.zero())) {
          throw ProtocolException.violation("a delta of page " + page + ", which has no content");
        }
        into.put(pages[page]);
      }
    }
  }
}
