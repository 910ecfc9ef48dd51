package io.pageferry.protocol.channel;

import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.pageferry.protocol.channel.PeerLostException.Kind;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Opens channels to peers: TCP, TLS, keep-alive. The HELLO is the caller's. Owns the event loops of
 * its channels, so it is closed after them. Any thread.
 */
@SuppressWarnings(
    "FutureReturnValueIgnored") // closing and shutting down: nothing follows from how it went
public final class PeerConnector implements AutoCloseable {
  private final TransportSettings settings;
  private final Transport transport;
  private final EventLoopGroup group;

  /** Urgent channels have their event loop to themselves, whatever the others are busy with. */
  private final EventLoopGroup urgentGroup;

  private final ConcurrentHashMap<InetSocketAddress, AtomicLong> heard = new ConcurrentHashMap<>();

  /**
   * @throws IllegalStateException if a forced transport does not work on this machine
   * @throws IllegalArgumentException if the TLS context is a server's
   */
  public PeerConnector(TransportSettings settings) {
    if (settings.tls() != null && !settings.tls().isClient()) {
      throw new IllegalArgumentException("a connector needs a client's TLS context");
    }
    this.settings = settings;
    transport = settings.transport().resolve();
    group = new EventLoops(settings.eventLoopThreads(), "connect", transport, settings.urgency());
    urgentGroup = new EventLoops(1, "connect-urgent", transport, settings.urgency());
  }

  /** The transport in use, never AUTO. */
  public Transport transport() {
    return transport;
  }

  /**
   * Connects and, with TLS, shakes hands; blocks until the channel stands. In TLS 1.3 this side is
   * done before the peer has judged our certificate: its refusal comes with the first {@link
   * PeerChannel#receive}.
   *
   * @param address may be unresolved; each address of the host is tried in turn
   * @throws PeerLostException with a sentence that names the host as given
   */
  public PeerChannel connect(InetSocketAddress address)
      throws PeerLostException, InterruptedException {
    return connect(address, group);
  }

  /**
   * As {@link #connect}, for a channel that others must not delay: see {@link PeerChannel#urgent}.
   * Its event loop is none that carries other than urgent channels.
   */
  public PeerChannel connectUrgent(InetSocketAddress address)
      throws PeerLostException, InterruptedException {
    PeerChannel channel = connect(address, urgentGroup);
    channel.urgent();
    return channel;
  }

  private PeerChannel connect(InetSocketAddress address, EventLoopGroup loops)
      throws PeerLostException, InterruptedException {
    String host = address.getHostString();
    String peerName = PeerFailure.name(host, address.getPort());
    InetAddress[] candidates;
    try {
      candidates =
          address.getAddress() != null
              ? new InetAddress[] {address.getAddress()}
              : InetAddress.getAllByName(host);
    } catch (UnknownHostException e) {
      throw new PeerLostException(Kind.HOST_UNKNOWN, "host " + host + " is not known here", e);
    }
    PeerLostException last = null;
    for (InetAddress candidate : candidates) {
      try {
        return connect(new InetSocketAddress(candidate, address.getPort()), peerName, loops);
      } catch (PeerLostException e) {
        if (e.kind() != Kind.UNREACHABLE) {
          throw e;
        }
        last = e;
      }
    }
    throw last != null
        ? last
        : new PeerLostException(Kind.HOST_UNKNOWN, "host " + host + " has no address");
  }

  private PeerChannel connect(InetSocketAddress address, String peerName, EventLoopGroup loops)
      throws PeerLostException, InterruptedException {
    long longAgo = System.nanoTime() - settings.silenceLimit().toNanos();
    AtomicLong peerHeard = heard.computeIfAbsent(address, key -> new AtomicLong(longAgo));
    CompletableFuture<PeerChannel> ready = new CompletableFuture<>();
    ChannelFuture connecting =
        new Bootstrap()
            .group(loops)
            .channel(transport.socketChannel())
            .option(ChannelOption.ALLOCATOR, PeerPipeline.ALLOCATOR)
            .option(ChannelOption.TCP_NODELAY, true)
            .option(ChannelOption.WRITE_BUFFER_WATER_MARK, PeerPipeline.WATER_MARK)
            .option(
                ChannelOption.CONNECT_TIMEOUT_MILLIS, (int) settings.connectTimeout().toMillis())
            .handler(
                new ChannelInitializer<Channel>() {
                  @Override
                  protected void initChannel(Channel channel) {
                    PeerPipeline.install(
                        channel,
                        peerName,
                        settings,
                        peerHeard,
                        ready::complete,
                        frame -> {},
                        ended -> notReady(ready, ended));
                  }
                })
            .connect(address);
    connecting.addListener(
        connected -> {
          Throwable cause = connected.cause();
          if (cause != null) {
            ready.completeExceptionally(PeerFailure.ofConnecting(peerName, cause, settings));
          }
        });
    try {
      return await(ready, peerName);
    } catch (InterruptedException | PeerLostException e) {
      connecting.channel().close();
      throw e;
    }
  }

  private static void notReady(CompletableFuture<PeerChannel> ready, PeerChannel peer) {
    PeerLostException reason = peer.ended();
    if (reason != null) {
      ready.completeExceptionally(reason);
    }
  }

  private PeerChannel await(CompletableFuture<PeerChannel> ready, String peerName)
      throws PeerLostException, InterruptedException {
    // The parts have their own limits; this one only guards against a defect in them.
    long limit = settings.connectTimeout().plus(settings.handshakeTimeout()).toMillis() + 5_000;
    try {
      return ready.get(limit, TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      @Nullable Throwable cause = e.getCause();
      if (cause instanceof PeerLostException lost) {
        throw lost.here();
      }
      throw new PeerLostException(
          Kind.FAILED_HERE, "cannot connect to " + peerName + ": " + cause, e);
    } catch (TimeoutException e) {
      throw new PeerLostException(
          Kind.UNREACHABLE, peerName + " did not answer within " + limit / 1000 + " s", e);
    }
  }

  /** Ends the event loops, and with them every channel that is still open. */
  @Override
  public void close() {
    var ended = group.shutdownGracefully(0, 2, TimeUnit.SECONDS);
    urgentGroup
        .shutdownGracefully(0, 2, TimeUnit.SECONDS)
        .awaitUninterruptibly(5, TimeUnit.SECONDS);
    ended.awaitUninterruptibly(5, TimeUnit.SECONDS);
  }
}
