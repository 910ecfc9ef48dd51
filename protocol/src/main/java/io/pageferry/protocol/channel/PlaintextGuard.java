package io.pageferry.protocol.channel;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.util.ReferenceCountUtil;

/**
 * On a plain channel: notices a peer that speaks TLS, by its first three bytes (a handshake or
 * alert record of version 3.x). As a frame header they would mean a first frame of more than 64
 * KiB, and a first frame is a HELLO or WELCOME of some hundred bytes.
 */
final class PlaintextGuard extends ChannelInboundHandlerAdapter {
  private static final int ALERT = 21;
  private static final int HANDSHAKE = 22;

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object msg) {
    if (msg instanceof ByteBuf bytes && bytes.isReadable()) {
      if (bytes.readableBytes() >= 3 && isTls(bytes)) {
        ReferenceCountUtil.release(msg);
        ctx.fireExceptionCaught(new SpeaksTlsException());
        return;
      }
      ctx.pipeline().remove(this);
    }
    ctx.fireChannelRead(msg);
  }

  private static boolean isTls(ByteBuf bytes) {
    int start = bytes.readerIndex();
    int type = bytes.getUnsignedByte(start);
    int minor = bytes.getUnsignedByte(start + 2);
    return (type == ALERT || type == HANDSHAKE)
        && bytes.getUnsignedByte(start + 1) == 3
        && minor >= 1
        && minor <= 4;
  }

  /** The peer speaks TLS where this side does not. */
  static final class SpeaksTlsException extends Exception {
    private static final long serialVersionUID = 1L;
  }
}
