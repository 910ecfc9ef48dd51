package io.pageferry.protocol.tls;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pageferry.protocol.pki.TestAuthority;
import io.pageferry.protocol.tls.PeerCertificateException.Problem;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.cert.X509Certificate;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.util.concurrent.atomic.AtomicLong;
import org.assertj.core.api.Assertions;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@NullMarked
@Timeout(180)
final class TlsContextsTest {
  @TempDir Path directory;
  private TestAuthority authority;

  @BeforeEach
  void makeAuthority() throws Exception {
    authority = new TestAuthority(directory.resolve("pki"));
  }

  private static void refuses(TlsFiles files, String sentence) {
    assertThatThrownBy(() -> TlsContexts.server(files, TlsEngineKind.JDK))
        .isInstanceOf(TlsSetupException.class)
        .hasMessageContaining(sentence);
  }

  @Test
  void aKeyThatOthersMayReadIsRefused() throws Exception {
    TlsFiles files = authority.agent("a");
    Files.setPosixFilePermissions(files.privateKey(), PosixFilePermissions.fromString("rw-r-----"));
    refuses(files, "readable by group or others: run chmod 600 " + files.privateKey());
  }

  @Test
  void credentialsThatDoNotFitTogetherAreRefused() throws Exception {
    TlsFiles a = authority.agent("a");
    TlsFiles b = authority.agent("b");
    refuses(
        new TlsFiles(a.certificateChain(), b.privateKey(), a.authority(), null),
        "does not belong to certificate");
    TestAuthority other = new TestAuthority(directory.resolve("other"));
    refuses(
        new TlsFiles(
            a.certificateChain(), a.privateKey(), other.directory().resolve("ca.crt"), null),
        "was not issued by authority");
    refuses(
        new TlsFiles(a.certificateChain(), a.privateKey(), a.certificateChain(), null),
        "is not the certificate of an authority");
    refuses(new TlsFiles(a.privateKey(), a.privateKey(), a.authority(), null), "certificate ");
    refuses(
        new TlsFiles(directory.resolve("x"), a.privateKey(), a.authority(), null),
        "does not exist");
    Instant now = Instant.now();
    refuses(
        authority.agent("old", now.minus(Duration.ofDays(2)), now.minus(Duration.ofDays(1))),
        "old.crt expired on");
  }

  @Test
  void aRevocationListThatCannotBeUsedIsAnError() throws Exception {
    TlsFiles files = authority.agent("a");
    Path list = authority.directory().resolve("crl.pem");
    byte[] good = Files.readAllBytes(list);
    authority.makeListStale();
    refuses(files, "is stale (it was good until");
    Files.writeString(list, "nonsense");
    refuses(files, "is not a revocation list in PEM form");
    TestAuthority other = new TestAuthority(directory.resolve("other"));
    Files.copy(
        other.directory().resolve("crl.pem"),
        list,
        java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    refuses(files, "is not our authority's");
    Files.delete(list);
    refuses(files, "does not exist");
    Files.write(list, good);
    assertThat(TlsContexts.server(files, TlsEngineKind.JDK).agentName()).isEqualTo("a");
  }

  @Test
  void theRevocationListIsReadAgainWhenItChanges() throws Exception {
    TlsFiles files = authority.agent("a");
    X509Certificate own = PemFiles.certificates(files.certificateChain(), "c").get(0);
    X509Certificate issuer = PemFiles.certificates(files.authority(), "a").get(0);
    Path list = authority.directory().resolve("crl.pem");
    PeerTrust trust =
        new PeerTrust(
            issuer,
            new RevocationList(list, issuer, Clock.systemUTC()),
            PeerTrust.CLIENT_AUTH,
            Clock.systemUTC());
    X509Certificate[] chain = {own};
    assertThat(trust.check(chain)).isEqualTo("a");
    authority.authority().revoke("a");
    assertThat(problem(trust, chain)).isEqualTo(Problem.REVOKED);
    Files.delete(list);
    assertThat(problem(trust, chain)).isEqualTo(Problem.REVOCATION_UNKNOWN);
  }

  @Test
  void aCertificateThatWasInOrderExpiresAndVouchesForNoOther() throws Exception {
    X509Certificate own =
        PemFiles.certificates(authority.agent("a").certificateChain(), "c").get(0);
    X509Certificate foreign =
        PemFiles.certificates(
                new TestAuthority(directory.resolve("other")).agent("a").certificateChain(), "c")
            .get(0);
    X509Certificate issuer =
        PemFiles.certificates(authority.directory().resolve("ca.crt"), "a").get(0);
    AtomicLong now = new AtomicLong(System.currentTimeMillis());
    PeerTrust trust = new PeerTrust(issuer, null, PeerTrust.CLIENT_AUTH, at(now));
    assertThat(trust.check(new X509Certificate[] {own})).isEqualTo("a");
    assertThat(problem(trust, new X509Certificate[] {foreign})).isEqualTo(Problem.FOREIGN);
    assertThat(trust.check(new X509Certificate[] {own})).isEqualTo("a");
    now.set(own.getNotAfter().toInstant().plusSeconds(1).toEpochMilli());
    assertThat(problem(trust, new X509Certificate[] {own})).isEqualTo(Problem.EXPIRED);
    now.set(own.getNotBefore().toInstant().minusSeconds(1).toEpochMilli());
    assertThat(problem(trust, new X509Certificate[] {own})).isEqualTo(Problem.NOT_YET_VALID);
  }

  private static Clock at(AtomicLong now) {
    InstantSource source = () -> Instant.ofEpochMilli(now.get());
    return source.withZone(ZoneOffset.UTC);
  }

  private static Problem problem(PeerTrust trust, X509Certificate[] chain) {
    return Assertions.catchThrowableOfType(PeerCertificateException.class, () -> trust.check(chain))
        .problem();
  }
}
