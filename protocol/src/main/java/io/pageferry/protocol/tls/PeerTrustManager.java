package io.pageferry.protocol.tls;

import io.netty.handler.ssl.OpenSslCertificateException;
import java.net.Socket;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedTrustManager;
import org.jspecify.annotations.Nullable;

/**
 * Asks {@link PeerTrust} in the middle of the handshake, so that a refused peer gets the fitting
 * alert. An extended trust manager, because the engines would wrap a plain one in checks of host
 * names, which do not identify agents.
 */
final class PeerTrustManager extends X509ExtendedTrustManager {
  /**
   * OpenSSL's X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, for which BoringSSL sends the alert
   * unknown_ca.
   */
  private static final int UNKNOWN_ISSUER = 20;

  private final PeerTrust trust;
  private final boolean openSsl;

  PeerTrustManager(PeerTrust trust, boolean openSsl) {
    this.trust = trust;
    this.openSsl = openSsl;
  }

  private void check(X509Certificate[] chain) throws CertificateException {
    try {
      trust.check(chain);
    } catch (PeerCertificateException e) {
      if (openSsl
          && (e.problem() == PeerCertificateException.Problem.FOREIGN
              || e.problem() == PeerCertificateException.Problem.SELF_SIGNED)) {
        throw new OpenSslCertificateException(e.getMessage(), e, UNKNOWN_ISSUER);
      }
      throw e;
    }
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String type) throws CertificateException {
    check(chain);
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String type) throws CertificateException {
    check(chain);
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String type, @Nullable Socket socket)
      throws CertificateException {
    check(chain);
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String type, @Nullable Socket socket)
      throws CertificateException {
    check(chain);
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String type, @Nullable SSLEngine engine)
      throws CertificateException {
    check(chain);
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String type, @Nullable SSLEngine engine)
      throws CertificateException {
    check(chain);
  }

  /**
   * Nobody is told whom we trust: a client of another authority would then present nothing, and
   * both sides would read "no certificate" where "another authority" is what is wrong.
   */
  @Override
  public X509Certificate[] getAcceptedIssuers() {
    return new X509Certificate[0];
  }
}
