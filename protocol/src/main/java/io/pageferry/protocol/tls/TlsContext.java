package io.pageferry.protocol.tls;

import io.netty.buffer.ByteBufAllocator;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslHandler;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.function.UnaryOperator;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;
import org.jspecify.annotations.Nullable;

/**
 * One side's TLS: credentials, whom it trusts, and the engine. Made by {@link TlsContexts};
 * thread-safe, lives as long as the agent.
 */
public final class TlsContext {
  private final SslContext context;
  private final TlsEngineKind engine;
  private final PeerTrust trust;
  private final String agentName;
  private final UnaryOperator<SSLEngine> tuning;

  TlsContext(
      SslContext context,
      TlsEngineKind engine,
      PeerTrust trust,
      String agentName,
      UnaryOperator<SSLEngine> tuning) {
    this.context = context;
    this.engine = engine;
    this.trust = trust;
    this.agentName = agentName;
    this.tuning = tuning;
  }

  /** The engine in use, never {@link TlsEngineKind#AUTO}. */
  public TlsEngineKind engine() {
    return engine;
  }

  /** This agent's own name, from its certificate. */
  public String agentName() {
    return agentName;
  }

  /** Whether this is the side that connects. */
  public boolean isClient() {
    return context.isClient();
  }

  /** A handler for one new connection. */
  public SslHandler newHandler(ByteBufAllocator allocator) {
    // No host and port: they would only serve session resumption, which skips the check of the
    // peer's certificate.
    if (engine == TlsEngineKind.BORINGSSL) {
      // Made by its context, the handler decrypts all records of a read at once; around an engine
      // it would take them one by one.
      SslHandler handler = context.newHandler(allocator);
      // A buffer at a time, with all its records into one: a piece of 16 KiB each, as it would be
      // otherwise, costs a buffer, a promise and a place in the system call for every record.
      handler.setWrapDataSize(0);
      return handler;
    }
    return new SslHandler(tuning.apply(context.newEngine(allocator)));
  }

  /**
   * The peer of a finished handshake, its certificate checked once more: a resumed session has not
   * asked the trust manager.
   *
   * @throws PeerCertificateException if this side does not accept it
   */
  public Peer peer(SSLSession session) throws PeerCertificateException {
    X509Certificate[] chain = chain(session);
    String name = trust.check(chain);
    return new Peer(name, sha256(chain), session.getProtocol());
  }

  private static X509Certificate[] chain(SSLSession session) {
    try {
      Certificate[] certificates = session.getPeerCertificates();
      return Arrays.copyOf(certificates, certificates.length, X509Certificate[].class);
    } catch (SSLPeerUnverifiedException e) {
      return new X509Certificate[0];
    }
  }

  private static String sha256(X509Certificate[] chain) {
    try {
      return HexFormat.of()
          .formatHex(MessageDigest.getInstance("SHA-256").digest(chain[0].getEncoded()));
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every JDK has SHA-256, and the certificate was parsed", e);
    }
  }

  /**
   * An authenticated peer.
   *
   * @param name the agent's name
   * @param certificateSha256 hexadecimal SHA-256 of its certificate
   * @param protocol as the engine calls it, {@code TLSv1.3}
   */
  public record Peer(String name, String certificateSha256, String protocol) {}

  /** The reason in a failed handshake that came from this side's own check of the peer, or null. */
  public static @Nullable PeerCertificateException refusal(Throwable failure) {
    for (Throwable each = failure; each != null; each = each.getCause()) {
      if (each instanceof PeerCertificateException refusal) {
        return refusal;
      }
      for (Throwable suppressed : each.getSuppressed()) {
        if (suppressed instanceof PeerCertificateException refusal) {
          return refusal;
        }
      }
    }
    return null;
  }
}
