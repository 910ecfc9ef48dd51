package io.pageferry.protocol.tls;

import java.nio.file.Path;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import org.jspecify.annotations.NullMarked;

/**
 * TLS contexts of agents that present what they should not: they skip the check of their own
 * certificate.
 */
@NullMarked
public final class TestTls {
  private TestTls() {}

  /** An agent whose own clock stands at a given time; peers are judged by the real time. */
  public static TlsContext atTime(
      TlsFiles files, TlsEngineKind engine, boolean client, Instant ownTime) throws Exception {
    return TlsContexts.create(
        files, engine, client, Clock.fixed(ownTime, ZoneOffset.UTC), Clock.systemUTC());
  }

  /** An agent with any certificate that trusts the peers of any authority. */
  public static TlsContext unchecked(
      TlsFiles own, Path trusted, TlsEngineKind engine, boolean client) throws Exception {
    X509Certificate certificate = PemFiles.certificates(own.certificateChain(), "c").get(0);
    PrivateKey key = PemFiles.privateKey(own.privateKey(), "EC");
    PeerTrust trust =
        new PeerTrust(
            PemFiles.certificates(trusted, "a").get(0),
            null,
            client ? PeerTrust.SERVER_AUTH : PeerTrust.CLIENT_AUTH,
            Clock.systemUTC());
    return TlsContexts.build(engine, client, key, certificate, trust, "unchecked");
  }
}
