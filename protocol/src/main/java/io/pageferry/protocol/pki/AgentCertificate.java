package io.pageferry.protocol.pki;

import java.math.BigInteger;
import java.nio.file.Path;
import java.time.Instant;

/**
 * What the authority knows of one certificate.
 *
 * @param name the agent's name, or the authority's for its own certificate
 * @param serial the serial number, positive, 127 random bits
 * @param notBefore start of validity
 * @param notAfter end of validity
 * @param status at the time of asking
 * @param certificate the PEM file
 */
public record AgentCertificate(
    String name,
    BigInteger serial,
    Instant notBefore,
    Instant notAfter,
    Status status,
    Path certificate) {

  /** Whether a peer would take the certificate. */
  public enum Status {
    VALID,
    NOT_YET_VALID,
    EXPIRED,
    REVOKED
  }
}
