package io.pageferry.protocol.frame;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.pageferry.protocol.message.AbortReason;
import org.jspecify.annotations.Nullable;

/**
 * Cuts the byte stream into {@link Frame}s.
 *
 * <p>A frame that lies whole within one read is passed on as a slice of it; only the payload of a
 * frame that straddles two reads is copied, once. What a connection can make this handler hold is
 * one payload (at most {@code maxPayload}) and one header; nothing is allocated before the header's
 * own checksum was right.
 *
 * <p>After the first damaged or forbidden frame the handler fires one {@link ProtocolException} and
 * drops everything that still comes: behind a wrong length there are no frames to be found again.
 *
 * <p>One instance a channel, used on its event loop only.
 */
public final class FrameDecoder extends ChannelInboundHandlerAdapter {
  private final int maxPayload;

  /** The header of a frame whose header straddles two reads; its writer index says how far. */
  private final ByteBuf header = Unpooled.buffer(FrameHeader.BYTES, FrameHeader.BYTES);

  /** The type of the frame whose payload is being put together. */
  private @Nullable FrameType partialType;

  private @Nullable ByteBuf partial;
  private int partialLength;
  private int partialCrc;
  private boolean emitted;
  private boolean broken;

  /** Accepts payloads up to {@link FrameHeader#MAX_PAYLOAD}. */
  public FrameDecoder() {
    this(FrameHeader.MAX_PAYLOAD);
  }

  /**
   * Accepts payloads up to a limit of its own.
   *
   * @param maxPayload the longest payload accepted, in bytes, up to {@link FrameHeader#MAX_PAYLOAD}
   */
  public FrameDecoder(int maxPayload) {
    if (maxPayload < 0 || maxPayload > FrameHeader.MAX_PAYLOAD) {
      throw new IllegalArgumentException("maxPayload " + maxPayload);
    }
    this.maxPayload = maxPayload;
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object msg) {
    if (!(msg instanceof ByteBuf in)) {
      ctx.fireChannelRead(msg);
      return;
    }
    try {
      while (in.isReadable() && !broken) {
        advance(ctx, in);
      }
    } catch (ProtocolException e) {
      broken = true;
      releasePartial();
      ctx.fireExceptionCaught(e);
    } finally {
      in.release();
    }
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ctx) {
    // Without auto-read somebody asked for one frame; half a frame must not leave him waiting.
    if (!emitted && !broken && !ctx.channel().config().isAutoRead()) {
      ctx.read();
    }
    emitted = false;
    ctx.fireChannelReadComplete();
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    broken = true;
    releasePartial();
    ctx.fireChannelInactive();
  }

  @Override
  public void handlerRemoved(ChannelHandlerContext ctx) {
    broken = true;
    releasePartial();
  }

  /** Takes one step: a header, a part of a payload, or a whole frame. */
  private void advance(ChannelHandlerContext ctx, ByteBuf in) throws ProtocolException {
    if (partialType != null) {
      fill(ctx, in, partialType);
    } else if (header.isReadable() || in.readableBytes() < FrameHeader.BYTES) {
      int missing = FrameHeader.BYTES - header.writerIndex();
      in.readBytes(header, Math.min(missing, in.readableBytes()));
      if (!header.isWritable()) {
        begin(ctx, in, header, 0);
        header.clear();
      }
    } else {
      int index = in.readerIndex();
      in.skipBytes(FrameHeader.BYTES);
      begin(ctx, in, in, index);
    }
  }

  /** Checks a header; the reader index of {@code in} is on the payload's first byte. */
  private void begin(ChannelHandlerContext ctx, ByteBuf in, ByteBuf headerBytes, int index)
      throws ProtocolException {
    FrameType type = FrameHeader.check(headerBytes, index, maxPayload);
    int length = FrameHeader.payloadLength(headerBytes, index);
    int crc = FrameHeader.payloadCrc(headerBytes, index);
    if (in.readableBytes() >= length) {
      check(type, in, in.readerIndex(), length, crc);
      emit(ctx, type, in.readRetainedSlice(length));
    } else {
      partialType = type;
      partialLength = length;
      partialCrc = crc;
    }
  }

  /** Adds to the payload that straddles; allocated with its first byte, not with its header. */
  private void fill(ChannelHandlerContext ctx, ByteBuf in, FrameType type)
      throws ProtocolException {
    ByteBuf payload = partial;
    if (payload == null) {
      payload = ctx.alloc().directBuffer(partialLength, partialLength);
      partial = payload;
    }
    in.readBytes(payload, Math.min(payload.writableBytes(), in.readableBytes()));
    if (!payload.isWritable()) {
      check(type, payload, 0, partialLength, partialCrc);
      partial = null;
      partialType = null;
      emit(ctx, type, payload);
    }
  }

  private static void check(FrameType type, ByteBuf buf, int index, int length, int stated)
      throws ProtocolException {
    int actual = Crc32c.of(buf, index, length);
    if (actual != stated) {
      throw new ProtocolException(
          AbortReason.CORRUPT_FRAME,
          "a "
              + type
              + " frame of "
              + length
              + " bytes is damaged: checksum "
              + Integer.toHexString(actual)
              + " instead of "
              + Integer.toHexString(stated));
    }
  }

  private void emit(ChannelHandlerContext ctx, FrameType type, ByteBuf payload) {
    emitted = true;
    ctx.fireChannelRead(new Frame(type, payload));
  }

  private void releasePartial() {
    if (partial != null) {
      partial.release();
      partial = null;
    }
    partialType = null;
  }
}
