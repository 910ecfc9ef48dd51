package io.pageferry.protocol.frame;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.DefaultMaxMessagesRecvByteBufAllocator;

/**
 * Reads a socket the way its frames lie: a short read finds headers and short frames, and what is
 * then known to be missing of a long payload is read into that payload, together with the header
 * that follows it. So page bytes go from the kernel to one buffer, and from there to the image.
 *
 * <p>One for each channel, used on its event loop only.
 */
final class FrameReads extends DefaultMaxMessagesRecvByteBufAllocator {
  /** A read of its own costs about as much as copying this. */
  static final int WORTHWHILE_BYTES = 16 << 10;

  private static final int SHORT_READ = 16 << 10;

  /** So often the socket is read before other work of the event loop gets its turn. */
  private static final int READS_IN_A_ROW = 4;

  private final FrameDecoder decoder;

  FrameReads(FrameDecoder decoder) {
    super(READS_IN_A_ROW);
    this.decoder = decoder;
  }

  @Override
  @SuppressWarnings("deprecation") // Handle is what the interface asks for
  public Handle newHandle() {
    return new MaxMessageHandle() {
      @Override
      public ByteBuf allocate(ByteBufAllocator allocator) {
        ByteBuf rest = decoder.roomForRest(allocator);
        return rest != null ? rest : allocator.ioBuffer(SHORT_READ);
      }

      @Override
      public int guess() {
        return SHORT_READ;
      }
    };
  }
}
