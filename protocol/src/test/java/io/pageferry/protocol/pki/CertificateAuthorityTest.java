package io.pageferry.protocol.pki;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pageferry.protocol.pki.AgentCertificate.Status;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@NullMarked
@Timeout(180)
final class CertificateAuthorityTest {
  @TempDir Path temporary;

  private Path pki() {
    return temporary.resolve("pki");
  }

  private String mode(String file) throws Exception {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(pki().resolve(file)));
  }

  @Test
  void filesHaveTheRightModesAndNothingElseIsLeft() throws Exception {
    CertificateAuthority.create(pki(), "Test CA").issue("alpha", 90);
    assertThat(mode("ca.key")).isEqualTo("rw-------");
    assertThat(mode("alpha.key")).isEqualTo("rw-------");
    assertThat(mode("ca.crt")).isEqualTo("rw-r--r--");
    assertThat(mode("alpha.crt")).isEqualTo("rw-r--r--");
    assertThat(mode("crl.pem")).isEqualTo("rw-r--r--");
    try (var files = Files.list(pki())) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrder(
              "ca.key", "ca.crt", "crl.pem", "issued.txt", ".lock", "alpha.key", "alpha.crt");
    }
  }

  @Test
  void createRefusesToReplaceAnAuthority() throws Exception {
    CertificateAuthority.create(pki(), "Test CA");
    byte[] key = Files.readAllBytes(pki().resolve("ca.key"));
    assertThatThrownBy(() -> CertificateAuthority.create(pki(), "Other CA"))
        .isInstanceOf(PkiException.class)
        .hasMessageContaining("already holds an authority");
    assertThat(Arrays.equals(key, Files.readAllBytes(pki().resolve("ca.key")))).isTrue();
  }

  @Test
  void renewingKeepsTheNameAndRevokingTheNameEndsTheReplacedCertificateToo() throws Exception {
    CertificateAuthority authority = CertificateAuthority.create(pki(), "Test CA");
    AgentCertificate first = authority.issue("alpha", 10);
    AgentCertificate other = authority.issue("beta", 10);
    assertThatThrownBy(() -> authority.issue("alpha", 10))
        .hasMessageContaining("already has a certificate");
    AgentCertificate second = authority.renew("alpha", 20);
    assertThat(second.name()).isEqualTo("alpha");
    assertThat(second.serial()).isNotEqualTo(first.serial());
    assertThat(authority.agents())
        .extracting(AgentCertificate::serial)
        .containsExactly(second.serial(), first.serial(), other.serial());

    CertificateAuthority loaded = CertificateAuthority.load(pki());
    assertThat(loaded.revoke("alpha"))
        .extracting(AgentCertificate::serial)
        .containsExactlyInAnyOrder(first.serial(), second.serial());
    assertThat(loaded.revoke("alpha")).isEmpty();
    assertThat(loaded.agents())
        .extracting(AgentCertificate::status)
        .containsExactly(Status.REVOKED, Status.REVOKED, Status.VALID);
    assertThat(loaded.issue("alpha", 5).status()).isEqualTo(Status.VALID);
  }

  @Test
  void aSerialNumberRevokesOneCertificateOnly() throws Exception {
    CertificateAuthority authority = CertificateAuthority.create(pki(), "Test CA");
    AgentCertificate first = authority.issue("alpha", 10);
    authority.renew("alpha", 10);
    assertThat(authority.revoke(first.serial().toString(16))).hasSize(1);
    assertThat(authority.agents())
        .extracting(AgentCertificate::status)
        .containsExactly(Status.VALID, Status.REVOKED);
    assertThatThrownBy(() -> authority.revoke("nobody"))
        .hasMessage("nothing was issued here for \"nobody\"");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "ca", "Alpha", "a/b", "../x", "-a", "a-", "a b", "ä", "a.b"})
  void namesThatCouldBeMisreadAreRefused(String name) throws Exception {
    CertificateAuthority authority = CertificateAuthority.create(pki(), "Test CA");
    assertThatThrownBy(() -> authority.issue(name, 10))
        .isInstanceOf(PkiException.class)
        .hasMessageContaining("cannot name an agent");
  }

  @Test
  void nonsenseIsRefused() throws Exception {
    assertThatThrownBy(() -> CertificateAuthority.load(pki()))
        .hasMessageContaining("holds no authority");
    CertificateAuthority authority = CertificateAuthority.create(pki(), "Test CA");
    assertThatThrownBy(() -> authority.issue("alpha", 0)).hasMessageContaining("1 to 3650 days");
    assertThatThrownBy(() -> authority.renew("alpha", 10))
        .hasMessageContaining("no certificate to renew");
  }
}
