package io.pageferry.protocol.channel;

import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.channel.AdaptiveRecvByteBufAllocator;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.RecvByteBufAllocator;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.handler.ssl.SslHandler;
import io.netty.handler.ssl.SslHandshakeCompletionEvent;
import io.netty.util.ReferenceCountUtil;
import io.pageferry.protocol.frame.Frame;
import io.pageferry.protocol.frame.FrameDecoder;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.tls.KeyShareSniffer;
import io.pageferry.protocol.tls.PeerCertificateException;
import io.pageferry.protocol.tls.TlsContext;
import java.util.HexFormat;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The handlers of every peer connection, from the socket upwards; and the socket's settings. */
final class PeerPipeline {
  /**
   * Direct buffers in arenas: at some thousand large buffers a second, allocating must not reach
   * the system.
   */
  static final ByteBufAllocator ALLOCATOR = new PooledByteBufAllocator(true);

  /**
   * Senders wait above the high mark and go on below the low one. Together with one frame of 1 MiB
   * that was let through at the mark, no more than 4 MiB wait in this process for a slow peer.
   */
  static final WriteBufferWaterMark WATER_MARK = new WriteBufferWaterMark(1 << 20, 2 << 20);

  /**
   * With TLS one system call takes what has arrived, up to a MiB, because records are decrypted
   * together; idle connections hold no buffer.
   */
  private static final int MIN_READ = 2 << 10;

  private static final int FIRST_READ = 16 << 10;
  private static final int MAX_READ = 1 << 20;

  private PeerPipeline() {}

  private static RecvByteBufAllocator recordReads() {
    return new AdaptiveRecvByteBufAllocator(MIN_READ, FIRST_READ, MAX_READ);
  }

  /**
   * Fills the pipeline of a new connection.
   *
   * @param onReady called on the event loop once, when the peer is authenticated (or, plain,
   *     connected)
   * @param onFrame called on the event loop before each frame but keep-alives
   * @param onEnd called on the event loop once, when a connection that stood has ended and its
   *     reason is known
   */
  static PeerChannel install(
      Channel channel,
      String peerName,
      TransportSettings settings,
      AtomicLong peerHeard,
      Consumer<PeerChannel> onReady,
      Consumer<PeerChannel> onFrame,
      Consumer<PeerChannel> onEnd) {
    FrameDecoder frames = new FrameDecoder();
    LifeSigns lifeSigns = new LifeSigns(settings, peerHeard);
    PeerChannel peer = new PeerChannel(channel, peerName, lifeSigns, settings);
    ChannelPipeline pipeline = channel.pipeline();
    pipeline.addLast(new LingeringClose(), lifeSigns);
    TlsContext tls = settings.tls();
    KeyShareSniffer sniffer = null;
    if (tls == null) {
      channel.config().setOption(ChannelOption.RECVBUF_ALLOCATOR, frames.reads());
      pipeline.addLast(new PlaintextGuard());
    } else {
      channel.config().setOption(ChannelOption.RECVBUF_ALLOCATOR, recordReads());
      sniffer = new KeyShareSniffer(tls.isClient());
      SslHandler handler = tls.newHandler(channel.alloc());
      handler.setHandshakeTimeoutMillis(settings.handshakeTimeout().toMillis());
      pipeline.addLast(sniffer, handler);
    }
    pipeline.addLast(frames, new Intake(peer, tls, sniffer, lifeSigns, onReady, onFrame, onEnd));
    return peer;
  }

  /** Last handler: hands everything to the {@link PeerChannel}. */
  private static final class Intake extends ChannelInboundHandlerAdapter {
    private final PeerChannel peer;
    private final @Nullable TlsContext tls;
    private final @Nullable KeyShareSniffer sniffer;
    private final LifeSigns lifeSigns;
    private final Consumer<PeerChannel> onReady;
    private final Consumer<PeerChannel> onFrame;
    private final Consumer<PeerChannel> onEnd;
    private boolean ready;

    Intake(
        PeerChannel peer,
        @Nullable TlsContext tls,
        @Nullable KeyShareSniffer sniffer,
        LifeSigns lifeSigns,
        Consumer<PeerChannel> onReady,
        Consumer<PeerChannel> onFrame,
        Consumer<PeerChannel> onEnd) {
      this.peer = peer;
      this.tls = tls;
      this.sniffer = sniffer;
      this.lifeSigns = lifeSigns;
      this.onReady = onReady;
      this.onFrame = onFrame;
      this.onEnd = onEnd;
    }

    @Override
    public void channelActive(ChannelHandlerContext ctx) {
      if (tls == null) {
        peer.authenticated(PeerIdentity.plaintext(ctx.channel().remoteAddress()));
        ready(ctx);
      }
      ctx.fireChannelActive();
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
      if (event instanceof SslHandshakeCompletionEvent handshake) {
        if (handshake.isSuccess()) {
          shakenHands(ctx);
        } else {
          peer.handshakeFailed(handshake.cause());
        }
      }
      ctx.fireUserEventTriggered(event);
    }

    private void shakenHands(ChannelHandlerContext ctx) {
      SslHandler handler = ctx.pipeline().get(SslHandler.class);
      if (tls == null || sniffer == null || handler == null) {
        return;
      }
      try {
        TlsContext.Peer who = tls.peer(handler.engine().getSession());
        peer.authenticated(
            new PeerIdentity(
                who.name(),
                HexFormat.of().parseHex(who.certificateSha256()),
                who.protocol(),
                sniffer.group(),
                ctx.channel().remoteAddress()));
        ready(ctx);
      } catch (PeerCertificateException e) {
        peer.failed(e);
      }
    }

    private void ready(ChannelHandlerContext ctx) {
      ready = true;
      lifeSigns.start(ctx, peer);
      onReady.accept(peer);
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object msg) {
      if (!(msg instanceof Frame frame) || !ready) {
        ReferenceCountUtil.release(msg);
        return;
      }
      if (frame.type() != FrameType.KEEP_ALIVE) {
        onFrame.accept(peer);
      }
      peer.frame(frame);
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext ctx) {
      peer.writabilityChanged();
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
      peer.inactive();
      onEnd.accept(peer);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      peer.failed(cause);
    }
  }
}
