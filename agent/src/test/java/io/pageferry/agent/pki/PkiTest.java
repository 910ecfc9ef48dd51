package io.pageferry.agent.pki;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.ResourceLock;
import org.junit.jupiter.api.parallel.Resources;

@Timeout(180)
@ResourceLock(Resources.SYSTEM_OUT)
class PkiTest {
  @TempDir Path folder;

  private record Outcome(int exit, String out, String err) {}

  private Outcome pki(String... args) {
    String[] all = new String[args.length + 2];
    System.arraycopy(args, 0, all, 0, args.length);
    all[args.length] = "--pki";
    all[args.length + 1] = folder.resolve("pki").toString();
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    PrintStream realOut = System.out;
    PrintStream realErr = System.err;
    System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
    System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
    try {
      int exit = Pki.run(all);
      return new Outcome(
          exit, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    } finally {
      System.setOut(realOut);
      System.setErr(realErr);
    }
  }

  @Test
  void fromNothingToARevokedAgent() throws Exception {
    Outcome init = pki("init");
    assertThat(init.exit()).isZero();
    assertThat(init.out()).contains("ca.crt", "ca.key", "crl.pem", "keep it here");

    Outcome issue = pki("issue", "alpha");
    assertThat(issue.exit()).isZero();
    assertThat(issue.out()).contains("alpha.crt", "alpha.key", "--name alpha");
    Path key = folder.resolve("pki/alpha.key");
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(key)))
        .isEqualTo("rw-------");

    assertThat(pki("show").out()).containsPattern("alpha +valid");
    byte[] before = Files.readAllBytes(folder.resolve("pki/crl.pem"));
    Outcome revoke = pki("revoke", "alpha");
    assertThat(revoke.exit()).isZero();
    assertThat(revoke.out()).contains("Revoked the certificate of 'alpha'", "crl.pem");
    assertThat(Files.readAllBytes(folder.resolve("pki/crl.pem"))).isNotEqualTo(before);
    assertThat(pki("show").out()).containsPattern("alpha +revoked");
  }

  @Test
  void aRenewedAgentHasANewCertificate() throws Exception {
    pki("init");
    pki("issue", "alpha", "--days", "1");
    byte[] before = Files.readAllBytes(folder.resolve("pki/alpha.crt"));
    Outcome renew = pki("renew", "alpha");
    assertThat(renew.exit()).isZero();
    assertThat(renew.out()).contains("Renewed the certificate of 'alpha'");
    assertThat(Files.readAllBytes(folder.resolve("pki/alpha.crt"))).isNotEqualTo(before);
  }

  @Test
  void whatCannotBeDoneIsASentenceAndThree() {
    Outcome none = pki("issue", "alpha");
    assertThat(none.exit()).isEqualTo(3);
    assertThat(none.err()).startsWith("pageferry: ").doesNotContain("Exception");
    pki("init");
    assertThat(pki("init").exit()).isEqualTo(3);
    assertThat(pki("revoke", "nobody").exit()).isEqualTo(3);
  }

  @Test
  void whatNobodyCouldDoIsASentenceAndTwo() {
    assertThat(pki("init", "--ca-name", "a/b").exit()).isEqualTo(2);
    pki("init");
    assertThat(pki("issue").exit()).isEqualTo(2);
    assertThat(pki("issue", "../evil").exit()).isEqualTo(2);
    for (String days : List.of("0", "-1", "1000000")) {
      Outcome wrong = pki("issue", "alpha", "--days", days);
      assertThat(wrong.exit()).isEqualTo(2);
      assertThat(wrong.err()).startsWith("pageferry: ").contains("days, not " + days);
    }
    assertThat(pki("renew", "alpha", "--days", "0").exit()).isEqualTo(2);
  }
}
