package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import net.jpountz.lz4.LZ4Compressor;
import org.jspecify.annotations.Nullable;

/**
 * Writes the differences of the pages of one batch, one behind the other, each in the shorter of
 * its two forms. A page that LZ4 alone makes shorter still is declined, and so is one that does not
 * shrink by an eighth.
 *
 * <p>One for each data channel, used by one thread at a time. Holds about 1 MiB of direct memory
 * and allocates nothing for a page.
 */
final class DeltaEncoder implements AutoCloseable {
  private static final int PAGE = PageBatch.PAGE_BYTES;

  /** A difference as short as this is not worth another try: it takes longer than it saves. */
  private static final int SHORT = PAGE / 8;

  /** From here on the page's own LZ4 block may well be shorter. */
  private static final int LONG = PAGE / 4;

  private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG_UNALIGNED;
  private static final ValueLayout.OfInt CHECK =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort LENGTH =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final @Nullable LZ4Compressor compressor;

  /** Whether differences have become shorter by LZ4 of late. */
  private final Shrinkage shrinkage = new Shrinkage(Shrinkage.MAX_PAUSE_PAGES);

  private final ByteBuf differences;
  private final MemorySegment memory;

  /** The exclusive or of two pages, and behind it what LZ4 makes of it. */
  private final ByteBuf scratch;

  private final ByteBuffer scratchBuffer;
  private final MemorySegment scratchMemory;
  private int end;

  /**
   * @param compressor null if LZ4 is not to be used
   */
  DeltaEncoder(ByteBufAllocator allocator, @Nullable LZ4Compressor compressor) {
    this.compressor = compressor;
    int room =
        PageBatch.MAX_PAGES * (PageDelta.HEADER_BYTES + PageDelta.MAX_BYTES)
            + DeltaRuns.RUN_HEADER_BYTES
            + DeltaRuns.SLACK_BYTES;
    differences = allocator.directBuffer(room, room);
    memory = MemorySegment.ofBuffer(differences.nioBuffer(0, room));
    int both = PAGE + (compressor == null ? 0 : compressor.maxCompressedLength(PAGE));
    scratch = allocator.directBuffer(both, both);
    scratchBuffer = scratch.nioBuffer(0, both);
    scratchMemory = MemorySegment.ofBuffer(scratchBuffer);
  }

  /** Forgets the batch before. */
  void begin() {
    end = 0;
  }

  /** Where the differences lie; stays this object's. */
  ByteBuf differences() {
    return differences;
  }

  /** Where the next one will begin. */
  int end() {
    return end;
  }

  /**
   * Writes the difference of one page behind those before it.
   *
   * @param base the page as the target has it, 4096 bytes from {@code baseAt}
   * @param page the page as it is to be, 4096 bytes from {@code pageAt}, direct
   * @param hash the low word of its {@link PageHash}
   * @return how many bytes it takes, its header included; 0 if it does not pay
   */
  int write(
      MemorySegment base,
      long baseAt,
      MemorySegment page,
      ByteBuffer pageBuffer,
      int pageAt,
      long hash) {
    int data = end + PageDelta.HEADER_BYTES;
    int form = PageDelta.RUNS;
    int length = DeltaRuns.write(base, baseAt, page, pageAt, memory, data, PageDelta.MAX_BYTES);
    if (compressor != null && (length < 0 || length > SHORT) && shrinkage.worthTrying(1)) {
      int packed = packedDifference(compressor, base, baseAt, page, pageAt);
      if (shrinkage.tried(length < 0 ? PageDelta.MAX_BYTES : length, packed)) {
        MemorySegment.copy(scratchMemory, PAGE, memory, data, packed);
        form = PageDelta.XOR_LZ4;
        length = packed;
      }
    }
    if (compressor != null && length > LONG && packed(compressor, pageBuffer, pageAt) < length) {
      return 0;
    }
    if (length < 0) {
      return 0;
    }
    memory.set(CHECK, end + PageDelta.CHECK_OFFSET, (int) hash);
    memory.set(LENGTH, end + PageDelta.LENGTH_OFFSET, (short) length);
    memory.set(ValueLayout.JAVA_BYTE, end + PageDelta.FORM_OFFSET, (byte) form);
    memory.set(ValueLayout.JAVA_BYTE, end + PageDelta.RESERVED_OFFSET, (byte) 0);
    end = data + length;
    return PageDelta.HEADER_BYTES + length;
  }

  private int packedDifference(
      LZ4Compressor lz4, MemorySegment base, long baseAt, MemorySegment page, long pageAt) {
    for (int at = 0; at < PAGE; at += Long.BYTES) {
      scratchMemory.set(WORD, at, page.get(WORD, pageAt + at) ^ base.get(WORD, baseAt + at));
    }
    return packed(lz4, scratchBuffer, 0);
  }

  /** Leaves the block behind the exclusive or. */
  private int packed(LZ4Compressor lz4, ByteBuffer from, int at) {
    return lz4.compress(from, at, PAGE, scratchBuffer, PAGE, scratchBuffer.capacity() - PAGE);
  }

  @Override
  public void close() {
    if (differences.refCnt() > 0) {
      differences.release();
      scratch.release();
    }
  }
}
