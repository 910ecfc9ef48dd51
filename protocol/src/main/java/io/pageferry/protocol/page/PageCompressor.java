package io.pageferry.protocol.page;

import com.github.luben.zstd.ZstdCompressCtx;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.nio.ByteBuffer;
import java.util.Set;
import net.jpountz.lz4.LZ4Compressor;
import net.jpountz.lz4.LZ4Factory;
import org.jspecify.annotations.Nullable;

/**
 * Packs pages of one batch into blocks, one behind the other. What has not shrunk of late is tried
 * only now and then ({@link Shrinkage}), for each codec by itself, except by zstd where that was
 * chosen among others.
 *
 * <p>One for each data channel, used by one thread at a time. Holds about 1 MiB of direct memory,
 * with zstd half as much again outside of it, and allocates nothing for a block.
 */
final class PageCompressor implements AutoCloseable {
  private static final int PAGE = PageBatch.PAGE_BYTES;

  /** The fastest that still finds entropy; each further one costs more than it saves here. */
  private static final int ZSTD_LEVEL = 1;

  /** Saves some 3 % of what that leaves, at two thirds of its speed. */
  private static final int ZSTD_LEVEL_OF_SLOW_LINKS = 3;

  private final @Nullable LZ4Compressor lz4;
  private final boolean withZstd;
  private final int zstdLevel;

  /**
   * Made by the first block: most links are too fast for it, and linking its library takes long.
   */
  private @Nullable ZstdCompressCtx zstd;

  private final Shrinkage ofLz4 = new Shrinkage(Shrinkage.MAX_PAUSE_PAGES);
  private final Shrinkage ofZstd;

  /** Parts of pages by themselves: what they are like says nothing of whole pages. */
  private final Shrinkage ofPartsByLz4 = new Shrinkage(Shrinkage.MAX_PAUSE_PAGES);

  private final Shrinkage ofPartsByZstd;
  private final ByteBuf blocks;

  /** The memory of {@link #blocks}, as the codecs want it. */
  private final ByteBuffer memory;

  private final int longest;
  private int end;

  /**
   * @param codecs those that will be asked for
   * @param slowLink whether time for packing is there in plenty
   */
  PageCompressor(ByteBufAllocator allocator, Set<PageCodec> codecs, boolean slowLink) {
    zstdLevel = slowLink ? ZSTD_LEVEL_OF_SLOW_LINKS : ZSTD_LEVEL;
    // Among others it is chosen where the link is slow; alone it has to do on any.
    int pause = codecs.size() > 1 ? Shrinkage.NO_PAUSE : Shrinkage.MAX_PAUSE_PAGES;
    ofZstd = new Shrinkage(pause);
    ofPartsByZstd = new Shrinkage(pause);
    long most = 0;
    if (codecs.contains(PageCodec.LZ4)) {
      lz4 = LZ4Factory.fastestInstance().fastCompressor();
      most = lz4.maxCompressedLength(PageBatch.MAX_LZ4_PAGES * PAGE);
    } else {
      lz4 = null;
    }
    withZstd = codecs.contains(PageCodec.ZSTD);
    if (withZstd) {
      most = Math.max(most, zstdBound((long) PageBatch.MAX_ZSTD_PAGES * PAGE));
    }
    // A block that is kept is shorter than its pages, so all before the last fit into their pages.
    longest = Math.toIntExact(most);
    int bytes = PageBatch.MAX_PAGES * PAGE + longest;
    blocks = allocator.directBuffer(bytes, bytes);
    memory = blocks.nioBuffer(0, bytes);
  }

  /**
   * The most that zstd makes of so many bytes: {@code ZSTD_COMPRESSBOUND} of its {@code zstd.h}.
   */
  static long zstdBound(long bytes) {
    long small = 128 << 10;
    return bytes + (bytes >> 8) + (bytes < small ? (small - bytes) >> 11 : 0);
  }

  private ZstdCompressCtx zstd() {
    ZstdCompressCtx context = zstd;
    if (context == null) {
      // The checksum is the frame's.
      context = new ZstdCompressCtx().setLevel(zstdLevel).setChecksum(false).setDictID(false);
      zstd = context;
    }
    return context;
  }

  /** For other blocks than those of pages; null if it is not to be used. */
  @Nullable LZ4Compressor lz4() {
    return lz4;
  }

  /** Forgets the batch before. */
  void begin() {
    end = 0;
  }

  /** Where the blocks lie; stays this object's. */
  ByteBuf blocks() {
    return blocks;
  }

  /** Where the next one will begin. */
  int end() {
    return end;
  }

  /**
   * Writes pages as one block behind those before it.
   *
   * @param codec one that this was made for, not {@link PageCodec#RAW}
   * @param pages direct; {@code count} pages from {@code at}
   * @param count at most {@link PageCodec#blockPages}
   * @return how many bytes it takes; 0 if it was not tried or does not pay
   */
  int pack(PageCodec codec, ByteBuffer pages, int at, int count) {
    Shrinkage shrinkage = shrinkage(codec);
    if (!shrinkage.worthTrying(count)) {
      return 0;
    }
    int raw = count * PAGE;
    int packed = compress(codec, pages, at, raw, memory, end);
    if (!shrinkage.tried(raw, packed)) {
      return 0;
    }
    end += packed;
    return packed;
  }

  /**
   * Writes parts of pages as one block into other memory.
   *
   * @param from direct; {@code raw} bytes from {@code at}, at most those of {@link
   *     PageCodec#blockPages}
   * @param into direct, with room for {@link #longest} bytes from {@code index} on
   * @return how many bytes it takes; 0 if it was not tried or does not pay
   */
  int pack(PageCodec codec, ByteBuffer from, int at, int raw, ByteBuffer into, int index) {
    Shrinkage shrinkage = shrinkageOfParts(codec);
    if (!shrinkage.worthTrying((raw + PAGE - 1) / PAGE)) {
      return 0;
    }
    int packed = compress(codec, from, at, raw, into, index);
    return shrinkage.tried(raw, packed) ? packed : 0;
  }

  /** The most bytes that a block can have, before it is known whether it pays. */
  int longest() {
    return longest;
  }

  /**
   * Packs pages as {@link #pack} does, tried or not, and keeps nothing of it.
   *
   * @param ofParts whether these are parts of pages, side by side
   * @return how many bytes they would take
   */
  int sample(PageCodec codec, boolean ofParts, ByteBuffer pages, int at, int count) {
    int raw = count * PAGE;
    int packed = compress(codec, pages, at, raw, memory, end);
    Shrinkage shrinkage = ofParts ? shrinkageOfParts(codec) : shrinkage(codec);
    return shrinkage.tried(raw, packed) ? packed : raw;
  }

  private Shrinkage shrinkageOfParts(PageCodec codec) {
    return codec == PageCodec.ZSTD ? ofPartsByZstd : ofPartsByLz4;
  }

  private Shrinkage shrinkage(PageCodec codec) {
    return codec == PageCodec.ZSTD ? ofZstd : ofLz4;
  }

  private int compress(
      PageCodec codec, ByteBuffer pages, int at, int raw, ByteBuffer into, int index) {
    int room = into.capacity() - index;
    if (codec == PageCodec.ZSTD && withZstd) {
      return zstd().compressDirectByteBuffer(into, index, room, pages, at, raw);
    }
    if (codec == PageCodec.LZ4 && lz4 != null) {
      return lz4.compress(pages, at, raw, into, index, room);
    }
    throw new IllegalArgumentException(codec + " is not to be used");
  }

  @Override
  public void close() {
    if (blocks.refCnt() > 0) {
      blocks.release();
      if (zstd != null) {
        zstd.close();
        zstd = null;
      }
    }
  }
}
