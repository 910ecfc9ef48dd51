package io.pageferry.protocol.channel;

import io.netty.channel.ConnectTimeoutException;
import io.netty.handler.ssl.NotSslRecordException;
import io.netty.handler.ssl.SslHandshakeTimeoutException;
import io.pageferry.protocol.channel.PeerLostException.Kind;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.tls.PeerCertificateException;
import io.pageferry.protocol.tls.TlsContext;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.NoRouteToHostException;
import java.net.SocketAddress;
import java.nio.channels.ClosedChannelException;
import java.time.Duration;
import java.util.Locale;
import javax.net.ssl.SSLException;

/** Puts what went wrong with a peer into one sentence. */
final class PeerFailure {
  private PeerFailure() {}

  /** HOST:PORT as people write it; an IPv6 address in brackets. */
  static String name(SocketAddress address) {
    if (address instanceof InetSocketAddress inet) {
      String host =
          inet.getAddress() == null ? inet.getHostString() : inet.getAddress().getHostAddress();
      return name(host, inet.getPort());
    }
    return String.valueOf(address);
  }

  static String name(String host, int port) {
    return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + port;
  }

  static String seconds(Duration duration) {
    long millis = duration.toMillis();
    return millis % 1000 == 0
        ? millis / 1000 + " s"
        : String.format(Locale.ROOT, "%.1f s", millis / 1000.0);
  }

  /** No connection came about. */
  static PeerLostException ofConnecting(String peer, Throwable cause, TransportSettings settings) {
    String text = text(cause);
    if (cause instanceof ConnectTimeoutException || text.contains("timed out")) {
      return new PeerLostException(
          Kind.UNREACHABLE,
          peer + " did not answer within " + seconds(settings.connectTimeout()),
          cause);
    }
    if (text.contains("connection refused")) {
      return new PeerLostException(
          Kind.UNREACHABLE, peer + " refused the connection: nothing listens there", cause);
    }
    if (cause instanceof NoRouteToHostException
        || text.contains("no route to host")
        || text.contains("unreachable")) {
      return new PeerLostException(Kind.UNREACHABLE, "there is no route to " + peer, cause);
    }
    if (cause instanceof ConnectException || cause instanceof IOException) {
      return new PeerLostException(
          Kind.UNREACHABLE, "cannot connect to " + peer + ": " + cause.getMessage(), cause);
    }
    return new PeerLostException(
        Kind.FAILED_HERE, "cannot connect to " + peer + ": " + cause, cause);
  }

  /** TLS did not come about. */
  static PeerLostException ofHandshake(String peer, Throwable cause, TransportSettings settings) {
    return isClosed(cause)
        ? new PeerLostException(
            Kind.TLS_REFUSED,
            peer
                + " closed the connection during the TLS handshake:"
                + " it may have been told to use plaintext, or be busy",
            cause)
        : of(peer, cause, settings);
  }

  /** A connection that stood has failed. */
  static PeerLostException of(String peer, Throwable cause, TransportSettings settings) {
    PeerCertificateException refusal = TlsContext.refusal(cause);
    if (refusal != null) {
      return new PeerLostException(
          Kind.TLS_REFUSED,
          "this side refused " + peer + ": its certificate " + refusal.getMessage(),
          cause);
    }
    for (Throwable each = cause; each != null; each = each.getCause()) {
      if (each instanceof ProtocolException) {
        return new PeerLostException(
            Kind.PROTOCOL, peer + " broke the protocol: " + each.getMessage(), cause);
      }
      if (each instanceof PlaintextGuard.SpeaksTlsException) {
        return new PeerLostException(
            Kind.TLS_REFUSED, peer + " speaks TLS, but this side was told to use plaintext", cause);
      }
      if (each instanceof NotSslRecordException) {
        return new PeerLostException(
            Kind.TLS_REFUSED,
            peer + " does not speak TLS: it may have been told to use plaintext",
            cause);
      }
      if (each instanceof SslHandshakeTimeoutException) {
        return new PeerLostException(
            Kind.TLS_REFUSED,
            peer
                + " did not finish the TLS handshake within "
                + seconds(settings.handshakeTimeout()),
            cause);
      }
    }
    if (isTls(cause)) {
      return new PeerLostException(Kind.TLS_REFUSED, TlsAlert.sentence(peer, cause), cause);
    }
    String text = text(cause);
    if (text.contains("reset") || text.contains("broken pipe") || text.contains("(-104)")) {
      return new PeerLostException(Kind.CLOSED, "the connection to " + peer + " was reset", cause);
    }
    if (text.contains("timed out")) {
      return new PeerLostException(
          Kind.SILENT, "the network to " + peer + " carries nothing any more", cause);
    }
    if (isClosed(cause)) {
      return new PeerLostException(Kind.CLOSED, peer + " closed the connection", cause);
    }
    return new PeerLostException(
        cause instanceof IOException ? Kind.CLOSED : Kind.FAILED_HERE,
        "the connection to " + peer + " failed: " + cause,
        cause);
  }

  /** A frame listener threw. */
  static PeerLostException ofListener(String peer, Exception cause) {
    if (cause instanceof ProtocolException) {
      return new PeerLostException(
          Kind.PROTOCOL, peer + " broke the protocol: " + cause.getMessage(), cause);
    }
    return new PeerLostException(
        Kind.FAILED_HERE,
        "what came from " + peer + " could not be taken: " + cause.getMessage(),
        cause);
  }

  static boolean isClosed(Throwable cause) {
    return cause instanceof ClosedChannelException;
  }

  private static boolean isTls(Throwable cause) {
    for (Throwable each = cause; each != null; each = each.getCause()) {
      if (each instanceof SSLException) {
        return true;
      }
    }
    return false;
  }

  private static String text(Throwable cause) {
    StringBuilder text = new StringBuilder();
    for (Throwable each = cause; each != null; each = each.getCause()) {
      text.append(each.getMessage()).append('\n');
    }
    return text.toString().toLowerCase(Locale.ROOT);
  }
}
