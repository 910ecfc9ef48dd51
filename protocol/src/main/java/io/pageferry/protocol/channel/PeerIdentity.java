package io.pageferry.protocol.channel;

import java.net.SocketAddress;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Who is at the other end of a channel.
 *
 * @param name the agent's name from its certificate, or {@value #PLAINTEXT}
 * @param certificateSha256 the SHA-256 of the peer's certificate (DER), or an empty array without
 *     TLS
 * @param tlsProtocol {@code TLSv1.3}, or {@value #PLAINTEXT}
 * @param tlsGroup the negotiated key-exchange group as IANA names it, for example {@code
 *     X25519MLKEM768}, or {@value #PLAINTEXT}
 * @param address the peer's socket address
 */
@SuppressWarnings(
    "ArrayRecordComponent") // copied on the way in and out, and equality compares its content
public record PeerIdentity(
    String name,
    byte[] certificateSha256,
    String tlsProtocol,
    String tlsGroup,
    SocketAddress address) {

  public static final String PLAINTEXT = "plaintext";

  public PeerIdentity {
    certificateSha256 = certificateSha256.clone();
  }

  static PeerIdentity plaintext(SocketAddress address) {
    return new PeerIdentity(PLAINTEXT, new byte[0], PLAINTEXT, PLAINTEXT, address);
  }

  @Override
  public byte[] certificateSha256() {
    return certificateSha256.clone();
  }

  /**
   * Whether the other presented the same certificate, which is what binds further channels to a
   * migration.
   */
  public boolean sameCertificate(PeerIdentity other) {
    return name.equals(other.name) && Arrays.equals(certificateSha256, other.certificateSha256);
  }

  /** The address as people write it, {@code HOST:PORT}. */
  public String hostAndPort() {
    return PeerFailure.name(address);
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof PeerIdentity that
        && sameCertificate(that)
        && tlsProtocol.equals(that.tlsProtocol)
        && tlsGroup.equals(that.tlsGroup)
        && address.equals(that.address);
  }

  @Override
  public int hashCode() {
    return Objects.hash(name, Arrays.hashCode(certificateSha256), tlsProtocol, tlsGroup, address);
  }

  @Override
  public String toString() {
    return name + " at " + hostAndPort() + " (" + tlsProtocol + ", " + tlsGroup + ")";
  }
}
