package io.pageferry.protocol.channel;

import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.channel.socket.DuplexChannel;
import io.netty.util.ReferenceCountUtil;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * Closes a connection so that the peer still gets the last words. Closing a socket with unread
 * bytes in it makes the kernel send a reset, and a reset can overtake what was sent last: the alert
 * or ABORT that says why. So this side stops writing, reads and drops until the peer closes as
 * well, at most for a moment, and only then closes. First handler of a pipeline; event loop only.
 */
@SuppressWarnings("FutureReturnValueIgnored") // the outcome of a close changes nothing any more
final class LingeringClose extends ChannelDuplexHandler {
  static final Duration LIMIT = Duration.ofSeconds(1);

  private boolean lingering;

  @Override
  public void close(ChannelHandlerContext ctx, ChannelPromise promise) {
    if (!(ctx.channel() instanceof DuplexChannel socket) || !socket.isActive()) {
      ctx.close(promise);
      return;
    }
    if (!promise.isVoid()) {
      socket.closeFuture().addListener(closed -> promise.trySuccess());
    }
    if (lingering) {
      return;
    }
    lingering = true;
    socket
        .shutdownOutput()
        .addListener(
            shut -> {
              if (!shut.isSuccess()) {
                ctx.close();
              }
            });
    socket.config().setAutoRead(true);
    ctx.executor().schedule(() -> ctx.close(), LIMIT.toMillis(), TimeUnit.MILLISECONDS);
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object msg) {
    if (lingering) {
      ReferenceCountUtil.release(msg);
    } else {
      ctx.fireChannelRead(msg);
    }
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    if (lingering) {
      ctx.close();
    } else {
      ctx.fireExceptionCaught(cause);
    }
  }
}
