package io.pageferry.protocol.tls;

import io.netty.handler.ssl.ClientAuth;
import io.netty.handler.ssl.OpenSsl;
import io.netty.handler.ssl.OpenSslContextOption;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslProvider;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.Security;
import java.security.Signature;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.logging.Level;
import java.util.logging.Logger;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.jsse.BCSSLEngine;
import org.bouncycastle.jsse.BCSSLParameters;
import org.bouncycastle.jsse.provider.BouncyCastleJsseProvider;

/**
 * Makes TLS contexts: TLS 1.3 only, both sides authenticated by one authority of our own, the group
 * that survives a recording by a future quantum computer (X25519MLKEM768) first wherever the engine
 * has it.
 */
public final class TlsContexts {
  private static final String PROTOCOL = "TLSv1.3";
  private static final String[] GROUPS = {"X25519MLKEM768", "X25519", "secp256r1"};
  private static final String[] JDK_GROUPS = {"x25519", "secp256r1"};

  /**
   * Enough for our chain of one or two certificates; what an unauthenticated peer can make us
   * parse.
   */
  private static final int MAX_CERTIFICATE_BYTES = 16 << 10;

  private TlsContexts() {}

  /** For the side that connects. */
  public static TlsContext client(TlsFiles files, TlsEngineKind engine) throws TlsSetupException {
    return create(files, engine, true, Clock.systemUTC(), Clock.systemUTC());
  }

  /** For the side that listens. */
  public static TlsContext server(TlsFiles files, TlsEngineKind engine) throws TlsSetupException {
    return create(files, engine, false, Clock.systemUTC(), Clock.systemUTC());
  }

  /**
   * The engine that {@link TlsEngineKind#AUTO} stands for on this machine; a forced one is returned
   * as it is.
   */
  public static TlsEngineKind resolve(TlsEngineKind engine) {
    if (engine != TlsEngineKind.AUTO) {
      return engine;
    }
    return OpenSsl.isAvailable() ? TlsEngineKind.BORINGSSL : TlsEngineKind.BOUNCYCASTLE;
  }

  /**
   * @param ownClock by which this side's own certificate is judged
   * @param peerClock by which peers' certificates are judged
   */
  static TlsContext create(
      TlsFiles files, TlsEngineKind wanted, boolean client, Clock ownClock, Clock peerClock)
      throws TlsSetupException {
    TlsEngineKind engine = available(wanted);
    List<X509Certificate> chain = PemFiles.certificates(files.certificateChain(), "certificate");
    X509Certificate own = chain.get(0);
    PrivateKey key = PemFiles.privateKey(files.privateKey(), own.getPublicKey().getAlgorithm());
    checkPair(files, own, key);
    X509Certificate authority = authority(files.authority());
    String name = checkOwn(files, own, authority, client, ownClock);
    Path listFile = files.revocationList();
    RevocationList revocations = null;
    if (listFile != null) {
      revocations = new RevocationList(listFile, authority, peerClock);
      revocations.current(); // a list that cannot be used is an error now, not at the first peer
    }
    PeerTrust trust =
        new PeerTrust(
            authority,
            revocations,
            client ? PeerTrust.SERVER_AUTH : PeerTrust.CLIENT_AUTH,
            peerClock);
    return build(engine, client, key, own, trust, name);
  }

  private static TlsEngineKind available(TlsEngineKind wanted) throws TlsSetupException {
    TlsEngineKind engine = resolve(wanted);
    if (engine == TlsEngineKind.BORINGSSL && !OpenSsl.isAvailable()) {
      throw new TlsSetupException(
          "BoringSSL does not load on this machine: use another --tls-engine",
          OpenSsl.unavailabilityCause());
    }
    return engine;
  }

  static TlsContext build(
      TlsEngineKind engine,
      boolean client,
      PrivateKey key,
      X509Certificate own,
      PeerTrust trust,
      String name)
      throws TlsSetupException {
    OwnKey keys = new OwnKey(key, own);
    SslContextBuilder builder =
        client ? SslContextBuilder.forClient().keyManager(keys) : SslContextBuilder.forServer(keys);
    if (!client) {
      builder.clientAuth(ClientAuth.REQUIRE);
    }
    builder
        .protocols(PROTOCOL)
        .trustManager(new PeerTrustManager(trust, engine == TlsEngineKind.BORINGSSL));
    if (client) {
      builder.endpointIdentificationAlgorithm(""); // the agent's name counts, not the host's
    }
    UnaryOperator<SSLEngine> tuning =
        switch (engine) {
          case BORINGSSL -> {
            builder
                .sslProvider(SslProvider.OPENSSL_REFCNT)
                .option(OpenSslContextOption.GROUPS, GROUPS)
                .option(OpenSslContextOption.MAX_CERTIFICATE_LIST_BYTES, MAX_CERTIFICATE_BYTES);
            yield UnaryOperator.identity();
          }
          case BOUNCYCASTLE -> {
            builder.sslProvider(SslProvider.JDK).sslContextProvider(BouncyCastle.provider());
            yield BouncyCastle::tune;
          }
          case JDK -> {
            builder.sslProvider(SslProvider.JDK);
            yield TlsContexts::tuneJdk;
          }
          case AUTO -> throw new IllegalStateException("resolved before");
        };
    try {
      return new TlsContext(builder.build(), engine, trust, name, tuning);
    } catch (SSLException e) {
      throw new TlsSetupException(
          "TLS engine " + engine.optionName() + " does not start: " + e.getMessage(), e);
    }
  }

  private static SSLEngine tuneJdk(SSLEngine engine) {
    SSLParameters parameters = engine.getSSLParameters();
    parameters.setNamedGroups(JDK_GROUPS);
    engine.setSSLParameters(parameters);
    return engine;
  }

  private static X509Certificate authority(Path file) throws TlsSetupException {
    X509Certificate authority = PemFiles.certificates(file, "authority").get(0);
    if (authority.getBasicConstraints() < 0) {
      throw new TlsSetupException("authority " + file + " is not the certificate of an authority");
    }
    return authority;
  }

  private static void checkPair(TlsFiles files, X509Certificate own, PrivateKey key)
      throws TlsSetupException {
    String algorithm =
        key.getAlgorithm().equals("EC")
            ? "SHA256withECDSA"
            : key.getAlgorithm().equals("RSA") ? "SHA256withRSA" : key.getAlgorithm();
    try {
      byte[] probe = {1, 2, 3, 4};
      Signature signer = Signature.getInstance(algorithm);
      signer.initSign(key);
      signer.update(probe);
      byte[] signature = signer.sign();
      Signature verifier = Signature.getInstance(algorithm);
      verifier.initVerify(own.getPublicKey());
      verifier.update(probe);
      if (verifier.verify(signature)) {
        return;
      }
    } catch (GeneralSecurityException e) {
      throw new TlsSetupException(
          "private key " + files.privateKey() + " cannot be used: " + e.getMessage(), e);
    }
    throw new TlsSetupException(
        "private key "
            + files.privateKey()
            + " does not belong to certificate "
            + files.certificateChain());
  }

  private static String checkOwn(
      TlsFiles files, X509Certificate own, X509Certificate authority, boolean client, Clock clock)
      throws TlsSetupException {
    try {
      return new PeerTrust(
              authority, null, client ? PeerTrust.CLIENT_AUTH : PeerTrust.SERVER_AUTH, clock)
          .check(new X509Certificate[] {own});
    } catch (PeerCertificateException e) {
      if (e.problem() == PeerCertificateException.Problem.FOREIGN
          || e.problem() == PeerCertificateException.Problem.SELF_SIGNED) {
        throw new TlsSetupException(
            "certificate "
                + files.certificateChain()
                + " was not issued by authority "
                + files.authority(),
            e);
      }
      throw new TlsSetupException(
          "certificate " + files.certificateChain() + " " + e.getMessage(), e);
    }
  }

  /** Kept apart so that the provider is made only where it is used. */
  private static final class BouncyCastle {
    /**
     * It reports every connection at INFO on standard error; held here, because a logger nobody
     * holds forgets its level.
     */
    private static final Logger CHATTER = Logger.getLogger("org.bouncycastle.jsse");

    private static final BouncyCastleJsseProvider JSSE = make();

    static Provider provider() {
      return JSSE;
    }

    /**
     * Bouncy Castle itself goes last in the list of providers: then AES-GCM is the JDK's, with the
     * processor's instructions. Asking it of Bouncy Castle's provider is 25 times slower.
     */
    private static BouncyCastleJsseProvider make() {
      CHATTER.setLevel(Level.SEVERE);
      if (Security.getProvider(BouncyCastleProvider.PROVIDER_NAME) == null) {
        Security.addProvider(new BouncyCastleProvider());
      }
      return new BouncyCastleJsseProvider();
    }

    static SSLEngine tune(SSLEngine engine) {
      if (engine instanceof BCSSLEngine bouncy) {
        BCSSLParameters parameters = bouncy.getParameters();
        parameters.setNamedGroups(GROUPS);
        bouncy.setParameters(parameters);
      }
      return engine;
    }
  }
}
