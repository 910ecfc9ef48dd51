package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Writes the data of the PARTS runs of one batch, one behind the other ({@link PageParts}): what
 * the target lacks of pages of which it has the rest.
 *
 * <p>One for each data channel that finds out what the target has, used by one thread at a time.
 * Holds about 1.5 MiB of direct memory and allocates nothing for a run.
 */
final class PartsEncoder implements AutoCloseable {
  private static final int PAGE = PageBatch.PAGE_BYTES;
  private static final int MOST = PageBatch.MAX_PARTS_PAGES;

  /** Where the runs begin. */
  private static final int RUNS = MOST * PAGE;

  private final @Nullable PageCompressor compressor;

  /** The parts of one run, side by side, and behind them the runs. */
  private final ByteBuf buffer;

  private final ByteBuffer memory;
  private int end;
  private int lastBytes;
  private PageCodec lastCodec = PageCodec.RAW;

  /**
   * @param compressor null if nothing is packed; stays the caller's
   */
  PartsEncoder(ByteBufAllocator allocator, @Nullable PageCompressor compressor) {
    this.compressor = compressor;
    // A run that is kept is shorter than its pages, so all before the last fit into their pages.
    int room =
        RUNS
            + PageBatch.MAX_PAGES * PAGE
            + PageParts.headerBytes(MOST)
            + Math.max(MOST * PAGE, compressor == null ? 0 : compressor.longest());
    buffer = allocator.directBuffer(room, room);
    memory = buffer.nioBuffer(0, room);
  }

  /** Forgets the batch before. */
  void begin() {
    end = RUNS;
  }

  /** Where the data lie; stays this object's. */
  ByteBuf runs() {
    return buffer;
  }

  /** Where the next run's will begin. */
  int end() {
    return end;
  }

  /**
   * Writes the data of one run behind those before it.
   *
   * @param codec for the block; not used where it does not pay
   * @param pages direct; {@code count} pages from {@code at}
   * @param lacking for each page from {@code from} on the parts that are to follow; of one page at
   *     least not all
   * @param count at most {@link PageBatch#MAX_PARTS_PAGES}
   * @param choice is told of the parts as of pages
   * @return how many bytes it takes
   */
  int write(
      PageCodec codec,
      ByteBuffer pages,
      int at,
      byte[] lacking,
      int from,
      int count,
      CodecChoice choice) {
    int bytes = gather(pages, at, lacking, from, count);
    lastBytes = bytes;
    int header = end;
    int block = header + PageParts.headerBytes(count);
    memory.put(header + 1, lacking, from, count);
    long begin = System.nanoTime();
    int packed =
        compressor == null || codec == PageCodec.RAW || bytes == 0
            ? 0
            : compressor.pack(codec, memory, 0, bytes, memory, block);
    choice.packed(bytes, packed > 0 ? packed : bytes, System.nanoTime() - begin);
    lastCodec = packed > 0 ? codec : PageCodec.RAW;
    if (packed > 0) {
      memory.put(header, form(codec));
    } else {
      memory.put(header, (byte) PageParts.AS_THEY_ARE);
      memory.put(block, memory, 0, bytes);
      packed = bytes;
    }
    end = block + packed;
    return end - header;
  }

  private int gather(ByteBuffer pages, int at, byte[] lacking, int from, int count) {
    int bytes = 0;
    for (int page = 0; page < count; page++) {
      int mask = lacking[from + page] & PageParts.ALL;
      int begin = at + page * PAGE;
      while (mask != 0) {
        // Neighbouring parts in one go.
        int first = Integer.numberOfTrailingZeros(mask);
        int length = Integer.numberOfTrailingZeros(~(mask >>> first)) * PageParts.PART;
        memory.put(bytes, pages, begin + first * PageParts.PART, length);
        bytes += length;
        mask &= ~(((1 << (length / PageParts.PART)) - 1) << first);
      }
    }
    return bytes;
  }

  /** The parts of the last run, from 0 on, for a codec that is to be tried. */
  ByteBuffer lastParts() {
    return memory;
  }

  /** By which the last run's block is packed. */
  PageCodec lastCodec() {
    return lastCodec;
  }

  /** How many whole pages' worth of them there are. */
  int lastPages() {
    return lastBytes / PAGE;
  }

  private static byte form(PageCodec codec) {
    return (byte)
        switch (codec) {
          case LZ4 -> PageParts.BY_LZ4;
          case ZSTD -> PageParts.BY_ZSTD;
          case RAW -> PageParts.AS_THEY_ARE;
        };
  }

  @Override
  public void close() {
    if (buffer.refCnt() > 0) {
      buffer.release();
    }
  }
}
