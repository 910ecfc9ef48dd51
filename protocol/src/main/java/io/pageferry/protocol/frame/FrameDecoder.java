package io.pageferry.protocol.frame;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.RecvByteBufAllocator;
import io.pageferry.protocol.message.AbortReason;
import org.jspecify.annotations.Nullable;

/**
 * Cuts the byte stream into {@link Frame}s.
 *
 * <p>A frame that lies whole within one read is passed on as a slice of it; only the payload of a
 * frame that straddles two reads is copied, once. Next to the socket {@link #reads} spares that,
 * too: the rest of a long payload is read to where it belongs. What a connection can make this
 * handler hold is one payload (at most {@code maxPayload}) and one header; nothing is allocated
 * before the header's own checksum was right.
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

  /** Has room for the header of the next frame, which comes with the same read. */
  private @Nullable ByteBuf partial;

  /** The part of {@link #partial} that the socket was last told to read into. */
  private @Nullable ByteBuf direct;

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

  /**
   * How the socket is to be read where nothing between it and this handler changes the bytes: the
   * rest of a long payload goes where it belongs instead of being copied there.
   */
  public RecvByteBufAllocator reads() {
    return new FrameReads(this);
  }

  /**
   * Where the socket may put what comes next.
   *
   * @return one reference, the caller's; null if little or nothing is missing of the frame begun
   */
  @Nullable ByteBuf roomForRest(ByteBufAllocator allocator) {
    if (partialType == null || broken) {
      return null;
    }
    int missing = partialLength - (partial == null ? 0 : partial.writerIndex());
    if (missing < FrameReads.WORTHWHILE_BYTES) {
      return null;
    }
    ByteBuf payload = payload(allocator);
    direct = payload.retainedSlice(payload.writerIndex(), payload.writableBytes()).setIndex(0, 0);
    return direct;
  }

  @Override
  @SuppressWarnings("ReferenceEquality") // buffers with equal bytes are others
  public void channelRead(ChannelHandlerContext ctx, Object msg) {
    if (!(msg instanceof ByteBuf in)) {
      ctx.fireChannelRead(msg);
      return;
    }
    boolean inPlace = in == direct;
    direct = null;
    try {
      if (inPlace && !broken) {
        takeInPlace(ctx, in);
      }
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

  /** Adds to the payload that straddles; allocated when more of it is read, not with its header. */
  private void fill(ChannelHandlerContext ctx, ByteBuf in, FrameType type)
      throws ProtocolException {
    ByteBuf payload = payload(ctx.alloc());
    int missing = partialLength - payload.writerIndex();
    in.readBytes(payload, Math.min(missing, in.readableBytes()));
    if (payload.writerIndex() == partialLength) {
      complete(ctx, type, payload);
    }
  }

  /** The bytes are in the payload already; what is left in {@code in} belongs to the next frame. */
  private void takeInPlace(ChannelHandlerContext ctx, ByteBuf in) throws ProtocolException {
    ByteBuf payload = partial;
    FrameType type = partialType;
    if (payload == null || type == null) {
      throw new IllegalStateException("read for a frame that is not there any more");
    }
    int taken = Math.min(partialLength - payload.writerIndex(), in.readableBytes());
    payload.writerIndex(payload.writerIndex() + taken);
    in.skipBytes(taken);
    if (payload.writerIndex() == partialLength) {
      complete(ctx, type, payload);
    }
  }

  private void complete(ChannelHandlerContext ctx, FrameType type, ByteBuf payload)
      throws ProtocolException {
    check(type, payload, 0, partialLength, partialCrc);
    partial = null;
    partialType = null;
    emit(ctx, type, payload);
  }

  private ByteBuf payload(ByteBufAllocator allocator) {
    ByteBuf payload = partial;
    if (payload == null) {
      int bytes = partialLength + FrameHeader.BYTES;
      payload = allocator.directBuffer(bytes, bytes);
      partial = payload;
    }
    return payload;
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
