package io.pageferry.protocol.channel;

import io.pageferry.protocol.tls.TlsContext;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * How channels are made and watched. Start from {@link #plaintext()} or {@link #tls(TlsContext)}
 * and change what differs.
 *
 * @param transport how sockets are driven
 * @param tls the TLS context of this side (a client's for {@link PeerConnector}, a server's for
 *     {@link PeerAcceptor}), or null for plain TCP
 * @param connectTimeout limit for the TCP connection, default 5 s
 * @param handshakeTimeout limit for TLS, and at an acceptor for the first frame as well, default 5
 *     s
 * @param keepAlive a KEEP_ALIVE is sent when nothing else was written for this long, default 1 s
 * @param silenceLimit a peer from which nothing came for this long is lost, default 5 s
 * @param maxHandshakes at an acceptor: connections that have not yet said who they are, at most;
 *     beyond that the oldest unauthenticated one of the address that holds the most is closed;
 *     default 64
 * @param eventLoopThreads threads that carry bytes and run frame listeners; started as needed. Each
 *     channel has one of its own as long as they last; default 20, which is enough for a migration
 *     with all the channels that it can have
 * @param urgency of the threads of urgent channels, default none
 */
public record TransportSettings(
    Transport transport,
    @Nullable TlsContext tls,
    Duration connectTimeout,
    Duration handshakeTimeout,
    Duration keepAlive,
    Duration silenceLimit,
    int maxHandshakes,
    int eventLoopThreads,
    ThreadUrgency urgency) {

  /** 16 data channels, control and fault channel, the listening socket, and one in hand. */
  private static final int DEFAULT_EVENT_LOOPS = 20;

  public TransportSettings {
    requirePositive("connectTimeout", connectTimeout);
    requirePositive("handshakeTimeout", handshakeTimeout);
    requirePositive("keepAlive", keepAlive);
    requirePositive("silenceLimit", silenceLimit);
    if (silenceLimit.compareTo(keepAlive.multipliedBy(2)) < 0) {
      throw new IllegalArgumentException(
          "the silence limit must be at least twice the keep-alive interval");
    }
    if (maxHandshakes < 1 || eventLoopThreads < 1) {
      throw new IllegalArgumentException("maxHandshakes and eventLoopThreads must be at least 1");
    }
  }

  private static void requirePositive(String name, Duration value) {
    if (value.isNegative() || value.isZero()) {
      throw new IllegalArgumentException(name + " must be positive, not " + value);
    }
  }

  /** Plain TCP with the defaults: nothing is encrypted and nobody is authenticated. */
  public static TransportSettings plaintext() {
    return new TransportSettings(
        Transport.AUTO,
        null,
        Duration.ofSeconds(5),
        Duration.ofSeconds(5),
        Duration.ofSeconds(1),
        Duration.ofSeconds(5),
        64,
        DEFAULT_EVENT_LOOPS,
        ThreadUrgency.NONE);
  }

  /** TLS 1.3 with the defaults. */
  public static TransportSettings tls(TlsContext tls) {
    return plaintext().withTls(tls);
  }

  public TransportSettings withTls(@Nullable TlsContext value) {
    return new TransportSettings(
        transport,
        value,
        connectTimeout,
        handshakeTimeout,
        keepAlive,
        silenceLimit,
        maxHandshakes,
        eventLoopThreads,
        urgency);
  }

  public TransportSettings withTransport(Transport value) {
    return new TransportSettings(
        value,
        tls,
        connectTimeout,
        handshakeTimeout,
        keepAlive,
        silenceLimit,
        maxHandshakes,
        eventLoopThreads,
        urgency);
  }

  /** Sets the limits for the TCP connection and for the handshake. */
  public TransportSettings withTimeouts(Duration connect, Duration handshake) {
    return new TransportSettings(
        transport,
        tls,
        connect,
        handshake,
        keepAlive,
        silenceLimit,
        maxHandshakes,
        eventLoopThreads,
        urgency);
  }

  /**
   * Sets the keep-alive interval and the silence after which a peer is lost (at least twice the
   * interval).
   */
  public TransportSettings withKeepAlive(Duration interval, Duration silence) {
    return new TransportSettings(
        transport,
        tls,
        connectTimeout,
        handshakeTimeout,
        interval,
        silence,
        maxHandshakes,
        eventLoopThreads,
        urgency);
  }

  public TransportSettings withMaxHandshakes(int value) {
    return new TransportSettings(
        transport,
        tls,
        connectTimeout,
        handshakeTimeout,
        keepAlive,
        silenceLimit,
        value,
        eventLoopThreads,
        urgency);
  }

  public TransportSettings withEventLoopThreads(int value) {
    return new TransportSettings(
        transport,
        tls,
        connectTimeout,
        handshakeTimeout,
        keepAlive,
        silenceLimit,
        maxHandshakes,
        value,
        urgency);
  }

  public TransportSettings withUrgency(ThreadUrgency value) {
    return new TransportSettings(
        transport,
        tls,
        connectTimeout,
        handshakeTimeout,
        keepAlive,
        silenceLimit,
        maxHandshakes,
        eventLoopThreads,
        value);
  }
}
