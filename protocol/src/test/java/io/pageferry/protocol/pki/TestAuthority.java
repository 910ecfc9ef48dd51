package io.pageferry.protocol.pki;

import io.pageferry.protocol.tls.TlsFiles;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.NullMarked;

/**
 * A real authority in a directory of its own, for tests that need agents with certificates, good
 * ones and bad ones.
 */
@NullMarked
public final class TestAuthority {
  private final Path directory;
  private final CertificateAuthority authority;

  public TestAuthority(Path directory) throws IOException {
    this.directory = directory;
    authority = CertificateAuthority.create(directory, "Test Authority");
  }

  public Path directory() {
    return directory;
  }

  public CertificateAuthority authority() {
    return authority;
  }

  /** Issues a certificate that is good for a day. */
  public TlsFiles agent(String name) throws IOException {
    authority.issue(name, 1);
    return files(name);
  }

  /** Issues a certificate for any span of time. */
  public TlsFiles agent(String name, Instant notBefore, Instant notAfter) throws IOException {
    authority.issue(name, notBefore, notAfter, false);
    return files(name);
  }

  /** A certificate that an agent made for itself, beside our authority's certificate. */
  public TlsFiles selfSigned(String name) throws Exception {
    KeyPair key = CertificateMaker.newKey();
    Instant now = Instant.now();
    Instant from = now.minus(Duration.ofHours(1));
    Instant to = now.plus(Duration.ofDays(1));
    X509Certificate issuer = CertificateMaker.authority(name, key, from, to);
    AuthorityFiles.writePublic(
        directory.resolve(name + ".crt"),
        CertificateMaker.pem(
            CertificateMaker.agent(name, key, issuer, key.getPrivate(), from, to)));
    AuthorityFiles.writeSecret(
        directory.resolve(name + ".key"), CertificateMaker.pem(key.getPrivate()));
    return files(name);
  }

  /** Makes the revocation list one that was good until an hour ago. */
  public void makeListStale() throws Exception {
    Instant now = Instant.now();
    authority.writeList(
        BigInteger.TWO, List.of(), now.minus(Duration.ofDays(2)), now.minus(Duration.ofHours(1)));
  }

  public TlsFiles files(String name) {
    return new TlsFiles(
        directory.resolve(name + ".crt"),
        directory.resolve(name + ".key"),
        directory.resolve("ca.crt"),
        directory.resolve("crl.pem"));
  }

  /** Deletes a directory with all that is in it. */
  public static void delete(Path directory) throws IOException {
    try (Stream<Path> paths = Files.walk(directory)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
