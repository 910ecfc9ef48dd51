package io.pageferry.protocol.page;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdDecompressCtx;
import com.github.luben.zstd.ZstdException;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.AbortReason;
import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * Unpacks blocks of zstd. A block is one frame of today's format that says how long its content is;
 * older formats, frames to be skipped, dictionaries and anything behind the frame are refused. The
 * library takes memory once, by the first block, and none that a frame asks for.
 *
 * <p>One for each data channel, used on its event loop only.
 */
final class ZstdBlocks implements AutoCloseable {
  private static final int MAGIC = 0xFD2FB528;

  private @Nullable ZstdDecompressCtx context;

  /**
   * Unpacks one block.
   *
   * @param data {@code length} bytes from {@code at}, the peer's
   * @param into exactly as many bytes from index 0 on as the block is to unpack to, direct; half
   *     written if this fails
   * @throws ProtocolException if it does not unpack to exactly so many bytes
   */
  void unpack(ByteBufAllocator allocator, ByteBuf data, int at, int length, ByteBuffer into)
      throws ProtocolException {
    if (length < Integer.BYTES || data.getIntLE(at) != MAGIC) {
      throw ProtocolException.violation("a zstd block of " + length + " bytes is none");
    }
    ByteBuffer block = data.nioBuffer(at, length);
    if (block.isDirect()) {
      unpack(block, length, into);
      return;
    }
    ByteBuf copy = allocator.directBuffer(length, length);
    try {
      unpack(copy.writeBytes(data, at, length).nioBuffer(), length, into);
    } finally {
      copy.release();
    }
  }

  private void unpack(ByteBuffer block, int length, ByteBuffer into) throws ProtocolException {
    int raw = into.remaining();
    long claimed = Zstd.getDirectByteBufferFrameContentSize(block, 0, length, false);
    if (claimed != raw) {
      throw ProtocolException.violation(
          "a zstd block says that it holds " + claimed + " bytes instead of " + raw);
    }
    if (Zstd.findDirectByteBufferFrameCompressedSize(block, 0, length) != length) {
      throw ProtocolException.violation("a zstd block is not as long as its " + length + " bytes");
    }
    try {
      if (context == null) {
        context = new ZstdDecompressCtx();
      }
      int bytes = context.decompressDirectByteBuffer(into, 0, raw, block, 0, length);
      if (bytes != raw) {
        throw ProtocolException.violation(
            "a zstd block holds " + bytes + " bytes instead of " + raw);
      }
    } catch (ZstdException e) {
      throw new ProtocolException(
          AbortReason.PROTOCOL_VIOLATION, "a zstd block of " + length + " bytes is broken", e);
    }
  }

  @Override
  public void close() {
    if (context != null) {
      context.close();
      context = null;
    }
  }
}
