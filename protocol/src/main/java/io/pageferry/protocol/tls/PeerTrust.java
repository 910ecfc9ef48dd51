package io.pageferry.protocol.tls;

import io.pageferry.protocol.tls.PeerCertificateException.Problem;
import java.security.GeneralSecurityException;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CRLEntry;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Instant;
import java.util.Arrays;
import java.util.Date;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Decides whether a peer's certificate is accepted: issued by our authority directly, valid now,
 * made for an agent in this role, naming one agent, not revoked. Thread-safe.
 */
final class PeerTrust {
  private static final int DIGITAL_SIGNATURE = 0;
  static final String SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
  static final String CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

  private final X509Certificate authority;
  private final @Nullable RevocationList revocations;
  private final String neededUsage;
  private final Clock clock;

  /**
   * The certificate that was last found to be in order: each of a migration's channels shows the
   * same one, and to check a signature takes a young virtual machine milliseconds.
   */
  private volatile @Nullable X509Certificate inOrder;

  /**
   * @param neededUsage the extended key usage that a peer's certificate must have
   */
  PeerTrust(
      X509Certificate authority,
      @Nullable RevocationList revocations,
      String neededUsage,
      Clock clock) {
    this.authority = authority;
    this.revocations = revocations;
    this.neededUsage = neededUsage;
    this.clock = clock;
  }

  /** Returns the agent's name, or says what is wrong with the certificate. */
  String check(X509Certificate @Nullable [] chain) throws PeerCertificateException {
    if (chain == null || chain.length == 0) {
      throw new PeerCertificateException(Problem.MISSING, "is missing");
    }
    X509Certificate leaf = chain[0];
    if (!leaf.equals(inOrder)) {
      checkPath(leaf);
      inOrder = leaf;
    }
    checkValidity(leaf);
    String name = checkPurpose(leaf);
    checkRevocation(leaf);
    return name;
  }

  /**
   * By the platform's own PKIX rules: signature, constraints, critical extensions, algorithms. None
   * of this changes with time.
   */
  private void checkPath(X509Certificate leaf) throws PeerCertificateException {
    try {
      PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(authority, null)));
      parameters.setRevocationEnabled(
          false); // checked by checkRevocation, which names what is wrong
      parameters.setDate(Date.from(clock.instant()));
      CertPathValidator.getInstance("PKIX")
          .validate(
              CertificateFactory.getInstance("X.509").generateCertPath(List.of(leaf)), parameters);
    } catch (CertPathValidatorException e) {
      // What there is a better word for.
      checkIssuer(leaf);
      checkValidity(leaf);
      throw new PeerCertificateException(
          Problem.NOT_AN_AGENT, "is not in order: " + e.getMessage());
    } catch (GeneralSecurityException e) {
      throw new PeerCertificateException(
          Problem.NOT_AN_AGENT, "cannot be checked: " + e.getMessage());
    }
  }

  private void checkIssuer(X509Certificate leaf) throws PeerCertificateException {
    if (signedBy(leaf, authority)
        && leaf.getIssuerX500Principal().equals(authority.getSubjectX500Principal())) {
      return;
    }
    if (leaf.getIssuerX500Principal().equals(leaf.getSubjectX500Principal())
        && signedBy(leaf, leaf)) {
      throw new PeerCertificateException(Problem.SELF_SIGNED, "is self-signed");
    }
    throw new PeerCertificateException(
        Problem.FOREIGN, "was issued by another authority than ours");
  }

  private void checkValidity(X509Certificate leaf) throws PeerCertificateException {
    Instant now = clock.instant();
    if (now.isAfter(leaf.getNotAfter().toInstant())) {
      throw new PeerCertificateException(
          Problem.EXPIRED, "expired on " + leaf.getNotAfter().toInstant());
    }
    if (now.isBefore(leaf.getNotBefore().toInstant())) {
      throw new PeerCertificateException(
          Problem.NOT_YET_VALID, "is not valid before " + leaf.getNotBefore().toInstant());
    }
    if (now.isAfter(authority.getNotAfter().toInstant())) {
      throw new PeerCertificateException(
          Problem.EXPIRED,
          "cannot be checked: our authority expired on " + authority.getNotAfter().toInstant());
    }
  }

  private String checkPurpose(X509Certificate leaf) throws PeerCertificateException {
    if (leaf.getBasicConstraints() >= 0) {
      throw new PeerCertificateException(Problem.NOT_AN_AGENT, "is an authority's, not an agent's");
    }
    boolean[] keyUsage = leaf.getKeyUsage();
    if (keyUsage == null || !keyUsage[DIGITAL_SIGNATURE]) {
      throw new PeerCertificateException(
          Problem.NOT_AN_AGENT, "is not made for signing a handshake");
    }
    List<String> usages;
    try {
      usages = leaf.getExtendedKeyUsage();
    } catch (CertificateException e) {
      usages = null;
    }
    if (usages == null || !usages.contains(neededUsage)) {
      throw new PeerCertificateException(
          Problem.NOT_AN_AGENT,
          "is not made for a TLS " + (neededUsage.equals(SERVER_AUTH) ? "server" : "client"));
    }
    String name = AgentName.of(leaf);
    if (name == null) {
      throw new PeerCertificateException(Problem.NOT_AN_AGENT, "does not name an agent");
    }
    return name;
  }

  private void checkRevocation(X509Certificate leaf) throws PeerCertificateException {
    if (revocations == null) {
      return;
    }
    try {
      X509CRLEntry entry = revocations.current().getRevokedCertificate(leaf.getSerialNumber());
      if (entry != null) {
        throw new PeerCertificateException(
            Problem.REVOKED, "was revoked on " + entry.getRevocationDate().toInstant());
      }
    } catch (TlsSetupException e) {
      throw new PeerCertificateException(
          Problem.REVOCATION_UNKNOWN, "cannot be checked: " + e.getMessage());
    }
  }

  static boolean signedBy(X509Certificate certificate, X509Certificate issuer) {
    try {
      certificate.verify(issuer.getPublicKey());
      return true;
    } catch (GeneralSecurityException e) {
      return false;
    }
  }

  @Override
  public String toString() {
    return "PeerTrust" + Arrays.asList(authority.getSubjectX500Principal(), neededUsage);
  }
}
