package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.pageferry.agent.cli.TlsOptions;
import io.pageferry.agent.ledger.LedgerEntry;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.control.QmpControl;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What becomes of the copy that an agent left behind when it was killed after the migration. */
@Timeout(120)
class RecoveryTest {
  private static final Duration CONTROL = Duration.ofSeconds(5);

  @TempDir private Path folder;
  private final UUID migration = UUID.randomUUID();
  private Process guest;
  private Path qmp;

  @BeforeEach
  void aGuestWhoseMigrationCompleted() throws Exception {
    qmp = folder.resolve("qmp.sock");
    Path log = folder.resolve("log");
    guest =
        new ProcessBuilder(
                List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "-XX:+UseSerialGC",
                    "-XX:TieredStopAtLevel=1",
                    "-Xmx64m",
                    "--enable-native-access=ALL-UNNAMED",
                    "-cp",
                    System.getProperty("java.class.path"),
                    "io.pageferry.guest.demo.DemoGuest",
                    "--image",
                    folder.resolve("ram").toString(),
                    "--memory",
                    "4M",
                    "--working-set",
                    "1M",
                    "--qmp",
                    qmp.toString()))
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    await()
        .atMost(Duration.ofSeconds(60))
        .until(() -> Files.exists(qmp) && Files.readString(log).contains("answers QMP"));
    Path description =
        Files.writeString(
            folder.resolve("demo.yaml"),
            """
            name: demo
            memory:
              - { name: ram, path: %s }
            control: { qmp: %s }
            """
                .formatted(folder.resolve("ram"), qmp));
    try (OwnershipLedger ledger =
        OwnershipLedger.create(
            folder,
            LedgerSide.SOURCE,
            migration,
            LedgerFields.of("demo", "target:1").withDescription(description.toString()))) {
      ledger.record(LedgerState.PAUSED);
      ledger.record(LedgerState.HANDED_OVER);
      ledger.record(LedgerState.COMPLETED);
    }
  }

  @AfterEach
  void end() {
    guest.destroyForcibly();
  }

  private LedgerEntry entry() throws Exception {
    return OwnershipLedger.read(folder, LedgerSide.SOURCE, migration);
  }

  private String recover() throws Exception {
    try (OwnershipLedger ledger = OwnershipLedger.open(folder, LedgerSide.SOURCE, migration)) {
      return new Recovery(ledger, new TlsOptions(), Duration.ZERO, false, true, null).run();
    }
  }

  @Test
  void thePausedCopyIsEndedOnce() throws Exception {
    try (QmpControl control = QmpControl.connect(qmp, CONTROL)) {
      control.pause();
      control.saveDeviceState();
    }
    assertThat(entry().settled()).isFalse();
    assertThat(recover()).contains("demo", "target:1");
    assertThat(guest.waitFor(30, TimeUnit.SECONDS)).isTrue();
    assertThat(entry().settled()).isTrue();
    assertThat(recover()).contains("has moved to target:1");
  }

  @Test
  void aGuestThatRunsAtItsPlaceIsLeftAlone() throws Exception {
    recover();
    assertThat(entry().settled()).isTrue();
    try (QmpControl control = QmpControl.connect(qmp, CONTROL)) {
      assertThat(control.status().running()).isTrue();
    }
  }

  @Test
  void aCopyThatHasEndedIsNotWaitedFor() throws Exception {
    guest.destroyForcibly().waitFor();
    recover();
    assertThat(entry().settled()).isTrue();
  }
}
