package io.pageferry.protocol.tls;

import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateException;

/**
 * This side does not accept a peer's certificate. The message completes the sentence "its
 * certificate …".
 */
public final class PeerCertificateException extends CertificateException {
  private static final long serialVersionUID = 1L;

  /** Why a certificate is refused. */
  public enum Problem {
    /** None was presented. */
    MISSING,
    /** It is signed by itself. */
    SELF_SIGNED,
    /** It comes from another authority than ours. */
    FOREIGN,
    EXPIRED,
    NOT_YET_VALID,
    REVOKED,
    /** It is ours, but not made for this: no agent's name, wrong usage, an authority's own. */
    NOT_AN_AGENT,
    /** Our revocation list cannot be used, so nobody can be accepted. */
    REVOCATION_UNKNOWN
  }

  private final Problem problem;

  PeerCertificateException(Problem problem, String predicate) {
    // The engines choose the alert that the peer will see by the reason in the cause.
    super(predicate, new CertPathValidatorException(predicate, null, null, -1, reason(problem)));
    this.problem = problem;
  }

  public Problem problem() {
    return problem;
  }

  private static CertPathValidatorException.Reason reason(Problem problem) {
    return switch (problem) {
      case EXPIRED -> CertPathValidatorException.BasicReason.EXPIRED;
      case NOT_YET_VALID -> CertPathValidatorException.BasicReason.NOT_YET_VALID;
      case REVOKED -> CertPathValidatorException.BasicReason.REVOKED;
      case MISSING, SELF_SIGNED, FOREIGN, NOT_AN_AGENT, REVOCATION_UNKNOWN ->
          CertPathValidatorException.BasicReason.UNSPECIFIED;
    };
  }
}
