package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Capabilities;
import java.io.IOException;
import java.nio.ByteBuffer;
import net.jpountz.lz4.LZ4Exception;
import net.jpountz.lz4.LZ4Factory;
import net.jpountz.lz4.LZ4SafeDecompressor;

/**
 * Reads page batches. Every number of a batch is checked before the sink hears of any page of it;
 * what then can still be wrong is the inside of a block or of the differences of a DELTA run, which
 * is found before the pages of that run land.
 *
 * <p>One for each data channel, used on its event loop only. Holds at most 256 KiB of memory during
 * a batch, and between two of them what the zstd library needs, from the first such block until it
 * is closed.
 */
public final class PageDecoder implements AutoCloseable {
  private static final int PAGE = PageBatch.PAGE_BYTES;

  private final ImageLayout layout;
  private final boolean zeroRuns;
  private final boolean lz4;
  private final boolean zstd;
  private final boolean delta;
  private final boolean known;
  private final boolean reference;
  private final LZ4SafeDecompressor decompressor = LZ4Factory.fastestInstance().safeDecompressor();
  private final ByteBufAllocator allocator;
  private final DeltaDecoder deltas;
  private final PartsDecoder parts;
  private final ZstdBlocks zstdBlocks = new ZstdBlocks();

  /**
   * A decoder for one migration.
   *
   * @param layout what region and page numbers are checked against
   * @param allocator of the memory in which blocks are unpacked and differences applied
   * @param negotiated an encoding without its capability is refused
   */
  public PageDecoder(ImageLayout layout, ByteBufAllocator allocator, Capabilities negotiated) {
    this.layout = layout;
    this.zeroRuns = negotiated.has(Capabilities.ZERO_RUNS);
    this.lz4 = negotiated.has(Capabilities.LZ4);
    this.zstd = negotiated.has(Capabilities.ZSTD);
    this.delta = negotiated.has(Capabilities.DELTA);
    this.known = negotiated.has(Capabilities.KNOWN);
    this.reference = negotiated.has(Capabilities.REFERENCE);
    this.allocator = allocator;
    this.deltas = new DeltaDecoder(allocator, decompressor, lz4);
    this.parts = new PartsDecoder(allocator, this::unpackLz4, this::unpackZstd);
  }

  /**
   * Hands the pages of one batch to the sink.
   *
   * @param payload of a PAGES frame, from reader index to writer index; stays the caller's, indices
   *     stay as they are
   * @throws ProtocolException if the batch breaks a rule; unless it is the inside of a block or of
   *     differences, the sink has heard nothing
   * @throws IOException from the sink
   */
  public void decode(ByteBuf payload, PageSink sink) throws IOException {
    int round = PageBatch.round(payload);
    int begin = payload.readerIndex();
    int region = payload.getUnsignedShortLE(begin + PageBatch.REGION_OFFSET);
    int runs = payload.getUnsignedShortLE(begin + PageBatch.RUN_COUNT_OFFSET);
    check(payload, region, runs);
    int at = begin + PageBatch.BATCH_HEADER_BYTES;
    for (int run = 0; run < runs; run++) {
      long first = payload.getLongLE(at + PageBatch.FIRST_PAGE_OFFSET);
      long count = payload.getUnsignedIntLE(at + PageBatch.PAGE_COUNT_OFFSET);
      PageEncoding encoding =
          PageEncoding.of(payload.getUnsignedByte(at + PageBatch.ENCODING_OFFSET));
      int length = payload.getIntLE(at + PageBatch.DATA_LENGTH_OFFSET);
      at += PageBatch.RUN_HEADER_BYTES;
      switch (encoding) {
        case ZERO -> sink.zero(round, region, first, count);
        case RAW -> sink.pages(round, region, first, payload.slice(at, length));
        case KNOWN -> sink.known(round, region, first, (int) count);
        case REFERENCE ->
            sink.references(round, region, first, (int) count, payload.slice(at, length));
        case LZ4, ZSTD, DELTA, PARTS ->
            unpack(encoding, payload, at, length, round, region, first, (int) count, sink);
      }
      at += length;
    }
  }

  /** Goes over all run headers, without a look at the data. */
  private void check(ByteBuf payload, int region, int runs) throws ProtocolException {
    if (runs < 1 || runs > PageBatch.MAX_RUNS) {
      throw ProtocolException.violation(
          "a page batch of " + runs + " runs, " + PageBatch.MAX_RUNS + " are allowed");
    }
    int at = payload.readerIndex() + PageBatch.BATCH_HEADER_BYTES;
    long next = 0;
    int ofReferences = 0;
    long referred = 0;
    for (int run = 0; run < runs; run++) {
      if (payload.writerIndex() - at < PageBatch.RUN_HEADER_BYTES) {
        throw ProtocolException.violation("a page batch ends within the header of a run");
      }
      long first = payload.getLongLE(at + PageBatch.FIRST_PAGE_OFFSET);
      long count = payload.getUnsignedIntLE(at + PageBatch.PAGE_COUNT_OFFSET);
      if (!layout.holds(region, first, count)) {
        throw ProtocolException.violation(
            "the image has no %d pages from %s in region %d"
                .formatted(count, Long.toUnsignedString(first), region));
      }
      // Ascending runs bound what one frame can make the target do to one pass over the region.
      if (first < next) {
        throw ProtocolException.violation(
            "page " + first + " comes after page " + next + " in one batch");
      }
      next = first + count;
      checkReserved(payload, at);
      int length = payload.getIntLE(at + PageBatch.DATA_LENGTH_OFFSET);
      if (checkData(payload, at, count, length) == PageEncoding.REFERENCE) {
        ofReferences++;
        referred += count;
      }
      at += PageBatch.RUN_HEADER_BYTES;
      if (length > payload.writerIndex() - at) {
        throw ProtocolException.violation("a page batch ends within the data of a run");
      }
      at += length;
    }
    if (at != payload.writerIndex()) {
      throw ProtocolException.violation(
          "a page batch has " + (payload.writerIndex() - at) + " bytes too many");
    }
    // One answer is given for all of them.
    if (ofReferences > 0 && (ofReferences < runs || referred > PageBatch.MAX_REFERENCES)) {
      throw ProtocolException.violation(
          "a page batch of %d references in %d of %d runs".formatted(referred, ofReferences, runs));
    }
  }

  private static void checkReserved(ByteBuf payload, int at) throws ProtocolException {
    if (payload.getByte(at + PageBatch.RESERVED8_OFFSET) != 0
        || payload.getShortLE(at + PageBatch.RESERVED16_OFFSET) != 0) {
      throw ProtocolException.violation("a reserved byte of a run is not zero");
    }
  }

  /** Whether encoding, page count and data length go together. */
  private PageEncoding checkData(ByteBuf payload, int at, long count, int length)
      throws ProtocolException {
    PageEncoding encoding =
        PageEncoding.of(payload.getUnsignedByte(at + PageBatch.ENCODING_OFFSET));
    boolean fits =
        switch (encoding) {
          case ZERO -> zeroRuns && length == 0;
          case RAW -> length >= 0 && length == count * PAGE;
          case LZ4 ->
              lz4 && count <= PageBatch.MAX_LZ4_PAGES && length > 0 && length < count * PAGE;
          case ZSTD ->
              zstd && count <= PageBatch.MAX_ZSTD_PAGES && length > 0 && length < count * PAGE;
          case DELTA ->
              delta
                  && count <= PageBatch.MAX_DELTA_PAGES
                  && length >= count * PageDelta.HEADER_BYTES
                  && length < count * PAGE;
          case KNOWN -> known && count <= PageBatch.MAX_KNOWN_PAGES && length == 0;
          case PARTS ->
              known
                  && count <= PageBatch.MAX_PARTS_PAGES
                  && length > PageParts.headerBytes((int) count)
                  && length < count * PAGE;
          case REFERENCE ->
              reference && count <= PageBatch.MAX_REFERENCES && length == count * ContentHash.BYTES;
        };
    if (!fits) {
      throw ProtocolException.violation(
          "%d pages as %s with %s bytes of data"
              .formatted(count, encoding, Integer.toUnsignedString(length)));
    }
    return encoding;
  }

  /** What is wrong with the run shows before any of its pages lands. */
  private void unpack(
      PageEncoding encoding,
      ByteBuf payload,
      int at,
      int length,
      int round,
      int region,
      long first,
      int count,
      PageSink sink)
      throws IOException {
    int raw = count * PAGE;
    ByteBuf pages = allocator.directBuffer(raw, raw);
    try {
      switch (encoding) {
        case LZ4 -> unpackLz4(payload, at, length, pages.nioBuffer(0, raw));
        case ZSTD -> unpackZstd(payload, at, length, pages.nioBuffer(0, raw));
        case DELTA -> {
          sink.bases(round, region, first, pages.nioBuffer(0, raw));
          deltas.apply(payload, at, length, first, pages, count);
        }
        case PARTS ->
            parts.assemble(
                payload,
                at,
                length,
                first,
                count,
                pages,
                (page, some, into) -> sink.earlier(round, region, page, some, into));
        case ZERO, RAW, KNOWN, REFERENCE ->
            throw new IllegalArgumentException(encoding + " has nothing to unpack");
      }
      sink.pages(round, region, first, pages.writerIndex(raw));
    } finally {
      pages.release();
    }
  }

  private void unpackZstd(ByteBuf payload, int at, int length, ByteBuffer into)
      throws ProtocolException {
    if (!zstd) {
      throw ProtocolException.violation("a zstd block, which was not agreed on");
    }
    zstdBlocks.unpack(allocator, payload, at, length, into);
  }

  private void unpackLz4(ByteBuf payload, int at, int length, ByteBuffer into)
      throws ProtocolException {
    if (!lz4) {
      throw ProtocolException.violation("an LZ4 block, which was not agreed on");
    }
    int raw = into.remaining();
    try {
      int bytes = decompressor.decompress(payload.nioBuffer(at, length), 0, length, into, 0, raw);
      if (bytes != raw) {
        throw ProtocolException.violation(
            "an LZ4 block holds " + bytes + " bytes instead of " + raw);
      }
    } catch (LZ4Exception e) {
      throw new ProtocolException(
          AbortReason.PROTOCOL_VIOLATION, "an LZ4 block of " + length + " bytes is broken", e);
    }
  }

  /** Gives back what unpacking took; nothing may be decoded any more. Again: no effect. */
  @Override
  public void close() {
    zstdBlocks.close();
  }
}
