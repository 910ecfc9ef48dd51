package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.AbortReason;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import net.jpountz.lz4.LZ4Exception;
import net.jpountz.lz4.LZ4SafeDecompressor;

/**
 * Makes pages of their bases and the data of a DELTA run; {@link PageDelta} and {@link DeltaRuns}
 * have the format. Every length is the peer's and checked, and every page that comes out is
 * compared with the hash that came with it.
 *
 * <p>One for each data channel, used on its event loop only; 4 KiB of memory during a call.
 */
final class DeltaDecoder {
  private static final int PAGE = PageBatch.PAGE_BYTES;
  private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG_UNALIGNED;

  private final ByteBufAllocator allocator;
  private final LZ4SafeDecompressor decompressor;
  private final boolean lz4;
  private final long[] hash = new long[2];

  /**
   * @param lz4 whether the form that needs it was agreed on
   */
  DeltaDecoder(ByteBufAllocator allocator, LZ4SafeDecompressor decompressor, boolean lz4) {
    this.allocator = allocator;
    this.decompressor = decompressor;
    this.lz4 = lz4;
  }

  /**
   * Applies the differences of a run.
   *
   * @param data {@code length} bytes from {@code begin}, the peer's
   * @param firstPage for messages
   * @param pages the bases from index 0 on, direct; become the pages, half done if this fails
   * @throws ProtocolException if the data break a rule or a page does not become what was sent
   */
  void apply(ByteBuf data, int begin, int length, long firstPage, ByteBuf pages, int count)
      throws ProtocolException {
    int at = begin;
    int end = begin + length;
    MemorySegment memory = MemorySegment.ofBuffer(pages.nioBuffer(0, count * PAGE));
    for (int page = 0; page < count; page++) {
      if (end - at < PageDelta.HEADER_BYTES) {
        throw ProtocolException.violation("a delta ends within the header of a page");
      }
      int check = data.getIntLE(at + PageDelta.CHECK_OFFSET);
      int bytes = data.getUnsignedShortLE(at + PageDelta.LENGTH_OFFSET);
      int form = data.getUnsignedByte(at + PageDelta.FORM_OFFSET);
      if (data.getByte(at + PageDelta.RESERVED_OFFSET) != 0) {
        throw ProtocolException.violation("a reserved byte of a delta is not zero");
      }
      at += PageDelta.HEADER_BYTES;
      if (bytes > PageDelta.MAX_BYTES || bytes > end - at) {
        throw ProtocolException.violation(
            "a difference of %d bytes, %d are left and %d allowed"
                .formatted(bytes, end - at, PageDelta.MAX_BYTES));
      }
      switch (form) {
        case PageDelta.RUNS -> DeltaRuns.apply(data, at, bytes, pages, page * PAGE);
        case PageDelta.XOR_LZ4 -> unpack(data, at, bytes, memory, page * PAGE);
        default -> throw ProtocolException.violation("a difference of form " + form);
      }
      at += bytes;
      PageHash.into(hash, memory, (long) page * PAGE);
      if ((int) hash[PageHash.LOW] != check) {
        throw new ProtocolException(
            AbortReason.DIGEST_MISMATCH,
            "page %d does not become what was sent: its delta is to another content"
                .formatted(firstPage + page));
      }
    }
    if (at != end) {
      throw ProtocolException.violation("a delta has " + (end - at) + " bytes too many");
    }
  }

  private void unpack(ByteBuf data, int at, int length, MemorySegment memory, int pageAt)
      throws ProtocolException {
    if (!lz4 || length == 0) {
      throw ProtocolException.violation("a difference of " + length + " bytes of LZ4");
    }
    ByteBuf unpacked = allocator.directBuffer(PAGE, PAGE);
    try {
      ByteBuffer out = unpacked.nioBuffer(0, PAGE);
      int bytes = decompressor.decompress(data.nioBuffer(at, length), 0, length, out, 0, PAGE);
      if (bytes != PAGE) {
        throw ProtocolException.violation("a difference unpacks to " + bytes + " bytes");
      }
      MemorySegment change = MemorySegment.ofBuffer(out);
      for (int word = 0; word < PAGE; word += Long.BYTES) {
        long to = (long) pageAt + word;
        memory.set(WORD, to, memory.get(WORD, to) ^ change.get(WORD, word));
      }
    } catch (LZ4Exception e) {
      throw new ProtocolException(
          AbortReason.PROTOCOL_VIOLATION,
          "an LZ4 block of " + length + " bytes within a delta is broken",
          e);
    } finally {
      unpacked.release();
    }
  }
}
