package io.pageferry.protocol.channel;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.util.concurrent.GlobalEventExecutor;
import io.pageferry.protocol.channel.PeerLostException.Kind;
import java.io.IOException;
import java.net.BindException;
import java.net.InetSocketAddress;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Accepts channels from peers. A channel is handed out only when its peer has authenticated and has
 * sent a first frame: whoever connects and says nothing, or says it drop by drop, is cut off at the
 * handshake timeout and never reaches the agent. Owns the event loops of its channels. Any thread.
 */
@SuppressWarnings(
    "FutureReturnValueIgnored") // closing and shutting down: nothing follows from how it went
public final class PeerAcceptor implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(PeerAcceptor.class);
  private static final int BACKLOG = 256;

  private final TransportSettings settings;
  private final Transport transport;
  private final EventLoopGroup group;
  private final ChannelGroup channels = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE, true);
  private final Strangers<Introduction> strangers;
  private final RefusalLog refusals = new RefusalLog(LOG);
  private volatile @Nullable Channel listening;

  /**
   * @throws IllegalStateException if a forced transport does not work on this machine
   * @throws IllegalArgumentException if the TLS context is a client's
   */
  public PeerAcceptor(TransportSettings settings) {
    if (settings.tls() != null && settings.tls().isClient()) {
      throw new IllegalArgumentException("an acceptor needs a server's TLS context");
    }
    this.settings = settings;
    strangers = new Strangers<>(settings.maxHandshakes());
    transport = settings.transport().resolve();
    group = new EventLoops(settings.eventLoopThreads(), "accept", transport, settings.urgency());
  }

  /** The transport in use, never AUTO. */
  public Transport transport() {
    return transport;
  }

  /**
   * Starts listening.
   *
   * @param address port 0 takes a free one
   * @param onAccept takes each new channel, which it then owns, on an event loop: it must not
   *     block. The first frame waits in the channel's queue
   * @return the real address
   * @throws IOException with a sentence for people if the address cannot be used
   */
  public InetSocketAddress bind(InetSocketAddress address, Consumer<PeerChannel> onAccept)
      throws IOException, InterruptedException {
    String name = PeerFailure.name(address.getHostString(), address.getPort());
    if (address.isUnresolved()) {
      throw new IOException("cannot listen on " + name + ": the host is not known here");
    }
    ChannelFuture binding =
        new ServerBootstrap()
            .group(group)
            .channel(transport.serverChannel())
            .option(ChannelOption.SO_BACKLOG, BACKLOG)
            .option(ChannelOption.SO_REUSEADDR, true)
            .childOption(ChannelOption.ALLOCATOR, PeerPipeline.ALLOCATOR)
            .childOption(ChannelOption.TCP_NODELAY, true)
            .childOption(ChannelOption.WRITE_BUFFER_WATER_MARK, PeerPipeline.WATER_MARK)
            .childHandler(
                new ChannelInitializer<Channel>() {
                  @Override
                  protected void initChannel(Channel channel) {
                    accept(channel, onAccept);
                  }
                })
            .bind(address);
    binding.await();
    Throwable cause = binding.cause();
    if (cause != null) {
      String why =
          cause instanceof BindException || String.valueOf(cause.getMessage()).contains("in use")
              ? "the address is in use or not this machine's"
              : String.valueOf(cause.getMessage());
      throw new IOException("cannot listen on " + name + ": " + why, cause);
    }
    listening = binding.channel();
    return (InetSocketAddress) binding.channel().localAddress();
  }

  private void accept(Channel channel, Consumer<PeerChannel> onAccept) {
    channels.add(channel);
    String peerName = PeerFailure.name(channel.remoteAddress());
    Introduction introduction = new Introduction(channel, onAccept);
    Strangers.Entry<Introduction> entry = strangers.enter(introduction, channel.remoteAddress());
    if (!entry.admitted()) {
      refusals.log(
          peerName
              + " was turned away: "
              + settings.maxHandshakes()
              + " others are still shaking hands");
      channel.close();
      return;
    }
    entry.displaced().ifPresent(Introduction::displace);
    long longAgo = System.nanoTime() - settings.silenceLimit().toNanos();
    PeerChannel peer =
        PeerPipeline.install(
            channel,
            peerName,
            settings,
            new AtomicLong(longAgo),
            introduction::ready,
            introduction::frame,
            introduction::ended);
    introduction.peer = peer;
    var timeout =
        channel
            .eventLoop()
            .schedule(
                () -> introduction.overdue(peer),
                settings.handshakeTimeout().toNanos(),
                TimeUnit.NANOSECONDS);
    channel
        .closeFuture()
        .addListener(
            closed -> {
              timeout.cancel(false);
              strangers.leave(introduction);
            });
  }

  /** Stops listening; channels that stand go on. */
  public void stopListening() {
    Channel server = listening;
    if (server != null) {
      server.close().awaitUninterruptibly(5, TimeUnit.SECONDS);
    }
  }

  /** Stops listening, closes every channel that came from here, and ends the event loops. */
  @Override
  public void close() {
    stopListening();
    channels.close().awaitUninterruptibly(3, TimeUnit.SECONDS);
    group.shutdownGracefully(0, 2, TimeUnit.SECONDS).awaitUninterruptibly(5, TimeUnit.SECONDS);
  }

  /** What is known of one connection until its first frame. On the channel's event loop. */
  private final class Introduction {
    private final Channel channel;
    private final Consumer<PeerChannel> onAccept;
    private @Nullable PeerChannel peer;
    private boolean over;

    Introduction(Channel channel, Consumer<PeerChannel> onAccept) {
      this.channel = channel;
      this.onAccept = onAccept;
    }

    /** Ends the time as a stranger; returns whether it had not ended before. */
    private boolean end() {
      if (over) {
        return false;
      }
      over = true;
      strangers.leave(this);
      return true;
    }

    void ready(PeerChannel peer) {
      if (settings.tls() != null) {
        strangers.authenticated(this);
      }
    }

    /** Its place is another's now. Any thread. */
    void displace() {
      channel.eventLoop().execute(this::displaced);
    }

    private void displaced() {
      PeerChannel stranger = peer;
      if (!over && stranger != null) {
        stranger.lost(
            new PeerLostException(
                Kind.SILENT,
                stranger.peerName()
                    + " made room for another: "
                    + settings.maxHandshakes()
                    + " connections have not said who they are"));
      }
    }

    void frame(PeerChannel peer) {
      if (end()) {
        onAccept.accept(peer);
      }
    }

    void overdue(PeerChannel peer) {
      if (!over) {
        peer.lost(
            new PeerLostException(
                Kind.SILENT,
                peer.peerName()
                    + " did not say who it is within "
                    + PeerFailure.seconds(settings.handshakeTimeout())));
      }
    }

    void ended(PeerChannel peer) {
      if (end()) {
        PeerLostException reason = peer.ended();
        refusals.log(
            reason != null ? String.valueOf(reason.getMessage()) : peer.peerName() + " went away");
        peer.close();
      }
    }
  }
}
