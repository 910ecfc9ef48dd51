package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.pageferry.protocol.frame.ProtocolException;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * Puts pages together of what the target has and the parts that have come ({@link PageParts}).
 *
 * <p>One for each data channel, used on its event loop only. Holds nothing between two runs.
 */
final class PartsDecoder {
  private static final int PAGE = PageBatch.PAGE_BYTES;

  /** Unpacks one block of another encoding, which is to fill the buffer. */
  interface Unpacking {
    void unpack(ByteBuf payload, int at, int length, ByteBuffer into) throws ProtocolException;
  }

  /** Reads what is there of pages from an earlier time. */
  interface Earlier {
    void read(long firstPage, int count, ByteBuffer into) throws IOException;
  }

  private final ByteBufAllocator allocator;
  private final Unpacking lz4;
  private final Unpacking zstd;

  /**
   * @param lz4 refuses if it was not agreed on; and so the next
   */
  PartsDecoder(ByteBufAllocator allocator, Unpacking lz4, Unpacking zstd) {
    this.allocator = allocator;
    this.lz4 = lz4;
    this.zstd = zstd;
  }

  /**
   * Fills pages from one run. Everything that has come is checked before anything is read.
   *
   * @param payload has the run's data, {@code length} bytes from {@code at}
   * @param pages receives {@code count} pages from 0 on; direct
   */
  void assemble(
      ByteBuf payload, int at, int length, long first, int count, ByteBuf pages, Earlier earlier)
      throws IOException {
    int masks = at + 1;
    int following = 0;
    for (int page = 0; page < count; page++) {
      following += Integer.bitCount(payload.getUnsignedByte(masks + page));
    }
    int bytes = following * PageParts.PART;
    int block = length - PageParts.headerBytes(count);
    int form = payload.getUnsignedByte(at);
    checkBlock(form, block, bytes);
    ByteBuf parts = allocator.directBuffer(Math.max(bytes, 1));
    try {
      unpack(form, payload, masks + count, block, parts.nioBuffer(0, bytes));
      readEarlier(payload, masks, first, count, pages, earlier);
      int from = 0;
      for (int page = 0; page < count; page++) {
        int mask = payload.getUnsignedByte(masks + page);
        for (int part = 0; part < PageParts.PARTS; part++) {
          if ((mask & 1 << part) != 0) {
            pages.setBytes(page * PAGE + part * PageParts.PART, parts, from, PageParts.PART);
            from += PageParts.PART;
          }
        }
      }
    } finally {
      parts.release();
    }
  }

  private static void checkBlock(int form, int block, int bytes) throws ProtocolException {
    boolean fits =
        switch (form) {
          case PageParts.AS_THEY_ARE -> block == bytes;
          case PageParts.BY_LZ4, PageParts.BY_ZSTD -> block > 0 && block < bytes;
          default -> false;
        };
    if (!fits) {
      throw ProtocolException.violation(
          "%d bytes of parts in a block of %d bytes of form %d".formatted(bytes, block, form));
    }
  }

  private void unpack(int form, ByteBuf payload, int at, int length, ByteBuffer into)
      throws ProtocolException {
    switch (form) {
      case PageParts.BY_LZ4 -> lz4.unpack(payload, at, length, into);
      case PageParts.BY_ZSTD -> zstd.unpack(payload, at, length, into);
      default -> payload.getBytes(at, into);
    }
  }

  /** Of pages that come whole nothing is read: there need not be anything. */
  private static void readEarlier(
      ByteBuf payload, int masks, long first, int count, ByteBuf pages, Earlier earlier)
      throws IOException {
    for (int page = 0; page < count; ) {
      int end = page;
      while (end < count && payload.getUnsignedByte(masks + end) != PageParts.ALL) {
        end++;
      }
      if (end > page) {
        earlier.read(first + page, end - page, pages.nioBuffer(page * PAGE, (end - page) * PAGE));
      }
      page = end + 1;
    }
  }
}
