package io.pageferry.protocol.frame;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.ChannelHandler.Sharable;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.ChannelPromise;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.MessageCodec;

/**
 * Turns {@link Message}s into frames. A page batch comes from its encoder as a complete frame, as a
 * {@link ByteBuf}, and passes through untouched.
 *
 * <p>Without state: one instance may serve all channels.
 */
@Sharable
public final class FrameEncoder extends ChannelOutboundHandlerAdapter {
  private static final int USUAL_MESSAGE_BYTES = 256;

  @Override
  @SuppressWarnings("FutureReturnValueIgnored") // it is the promise, which the caller watches
  public void write(ChannelHandlerContext ctx, Object msg, ChannelPromise promise) {
    if (msg instanceof Message message) {
      ctx.write(frame(message, ctx.alloc()), promise);
    } else {
      ctx.write(msg, promise);
    }
  }

  /** The complete frame of a message. The caller owns and releases it. */
  public static ByteBuf frame(Message message, ByteBufAllocator allocator) {
    ByteBuf frame =
        allocator.directBuffer(USUAL_MESSAGE_BYTES, FrameHeader.BYTES + FrameHeader.MAX_PAYLOAD);
    try {
      frame.writerIndex(FrameHeader.BYTES);
      MessageCodec.encode(message, frame);
      int length = frame.writerIndex() - FrameHeader.BYTES;
      int crc = Crc32c.of(frame, FrameHeader.BYTES, length);
      FrameHeader.write(frame, 0, message.type(), length, crc);
      return frame;
    } catch (RuntimeException e) {
      frame.release();
      throw e;
    }
  }
}
