package io.pageferry.protocol.channel;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Shows the peer that this side lives, and notices a peer that does not. Stands next to the socket,
 * where any byte counts; event loop only, but for the counters.
 *
 * <p>Silence is time in which this side could have heard something: it does not grow while reading
 * is stopped, nor while the event loop is held up by a slow listener, because then the peer's words
 * wait unread in the socket.
 */
@SuppressWarnings("FutureReturnValueIgnored") // a failed write is seen by the channel, which ends
final class LifeSigns extends ChannelDuplexHandler {
  /**
   * A peer that is silent on one connection but heard on another one is busy (its event loop is
   * held up by a slow write), not dead: it is given this many times the limit.
   */
  private static final int BUSY_FACTOR = 6;

  private static final int TICKS_PER_KEEP_ALIVE = 4;

  private final long keepAliveNanos;
  private final long silenceNanos;
  private final AtomicLong peerHeard;
  private final AtomicLong sent = new AtomicLong();
  private final AtomicLong received = new AtomicLong();

  private @Nullable PeerChannel channel;
  private @Nullable ScheduledFuture<?> ticking;
  private boolean heard;
  private long silent;
  private long lastTick;
  private long lastWrite;

  /**
   * @param peerHeard {@link System#nanoTime()} of the last word from the same agent on any
   *     connection; shared by its connections
   */
  LifeSigns(TransportSettings settings, AtomicLong peerHeard) {
    keepAliveNanos = settings.keepAlive().toNanos();
    silenceNanos = settings.silenceLimit().toNanos();
    this.peerHeard = peerHeard;
  }

  long bytesSent() {
    return sent.get();
  }

  long bytesReceived() {
    return received.get();
  }

  /** Begins to watch and to send keep-alives: from now on frames may be written. */
  void start(ChannelHandlerContext any, PeerChannel peerChannel) {
    if (ticking != null || !any.channel().isActive()) {
      return;
    }
    channel = peerChannel;
    lastTick = System.nanoTime();
    lastWrite = lastTick;
    long period = Math.max(1, keepAliveNanos / TICKS_PER_KEEP_ALIVE);
    ticking =
        any.executor()
            .scheduleWithFixedDelay(() -> tick(any, period), period, period, TimeUnit.NANOSECONDS);
  }

  private void tick(ChannelHandlerContext ctx, long period) {
    long now = System.nanoTime();
    // A tick that comes late was held up by this side: of that time no more than two periods count.
    long passed = Math.min(now - lastTick, 2 * period);
    lastTick = now;
    if (heard) {
      heard = false;
      peerHeard.set(now);
      silent = 0;
    } else if (ctx.channel().config().isAutoRead()) {
      silent += passed;
    } else {
      silent = 0;
    }
    if (silent >= silenceNanos && channel != null) {
      boolean heardElsewhere = now - peerHeard.get() < silenceNanos;
      if (!heardElsewhere || silent >= BUSY_FACTOR * silenceNanos) {
        channel.silent();
        return;
      }
    }
    keepAlive(now);
  }

  /** Called between two pieces of work that hold up the event loop, so that ticks cannot run. */
  void duringWork() {
    keepAlive(System.nanoTime());
  }

  private void keepAlive(long now) {
    if (channel != null && now - lastWrite >= keepAliveNanos) {
      lastWrite =
          now; // also where the write is held up in the outbound buffer: one waiting there is
      // enough
      channel.sendKeepAlive();
    }
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object msg) {
    if (msg instanceof ByteBuf bytes) {
      heard = true;
      received.lazySet(received.get() + bytes.readableBytes());
    }
    ctx.fireChannelRead(msg);
  }

  @Override
  public void write(ChannelHandlerContext ctx, Object msg, ChannelPromise promise) {
    if (msg instanceof ByteBuf bytes) {
      lastWrite = System.nanoTime();
      sent.lazySet(sent.get() + bytes.readableBytes());
    }
    ctx.write(msg, promise);
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    stop();
    ctx.fireChannelInactive();
  }

  @Override
  public void handlerRemoved(ChannelHandlerContext ctx) {
    stop();
  }

  void stop() {
    if (ticking != null) {
      ticking.cancel(false);
    }
    channel = null;
  }
}
