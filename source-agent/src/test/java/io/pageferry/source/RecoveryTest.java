package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.TlsOptions;
import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.agent.copies.GuestCopy;
import io.pageferry.agent.ledger.LedgerEntry;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.control.QmpControl;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.OwnershipState;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

/** What becomes of the copy that an agent left behind when it was killed after the migration. */
@Timeout(120)
class RecoveryTest {
  private static final Duration CONTROL = Duration.ofSeconds(30);
  private static final CopyLimits COPIES = new CopyLimits(Duration.ofHours(1), 64 << 20);

  @TempDir private Path folder;
  private final UUID migration = UUID.randomUUID();
  private Process guest;
  private Path qmp;
  private Path description;

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
    description = describe("30s");
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

  private Path describe(String timeout) throws Exception {
    return Files.writeString(
        folder.resolve("demo.yaml"),
        """
        name: demo
        memory:
          - { name: ram, path: %s }
        control: { qmp: %s, timeout: %s }
        """
            .formatted(folder.resolve("ram"), qmp, timeout));
  }

  @AfterEach
  void end() {
    guest.destroyForcibly();
  }

  private LedgerEntry entry() throws Exception {
    return OwnershipLedger.read(folder, LedgerSide.SOURCE, migration);
  }

  private String recover() throws Exception {
    return recover(CopyLimits.NONE);
  }

  private String recover(CopyLimits copies) throws Exception {
    try (OwnershipLedger ledger = OwnershipLedger.open(folder, LedgerSide.SOURCE, migration)) {
      return new Recovery(ledger, new TlsOptions(), Duration.ZERO, false, true, null, copies).run();
    }
  }

  private List<GuestCopy> copies() throws Exception {
    return new GuestCopies(folder, COPIES).list();
  }

  @Test
  void thePausedCopyIsEndedOnce() throws Exception {
    try (QmpControl control = QmpControl.connect(qmp, CONTROL)) {
      control.pause();
      control.saveDeviceState();
    }
    assertThat(entry().settled()).isFalse();
    assertThat(recover(COPIES)).contains("demo", "target:1");
    assertThat(guest.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(entry().settled()).isTrue();
    assertThat(copies()).as("whether it was this image nobody knows").isEmpty();
    assertThat(recover()).contains("has moved to target:1");
  }

  @Test
  void theImageOfThePausedCopyIsKeptOnceItsProcessIsGone() throws Exception {
    Path image = folder.resolve("ram");
    try (OwnershipLedger ledger = OwnershipLedger.open(folder, LedgerSide.SOURCE, migration);
        GuestImage moved = GuestImage.openExisting(GuestDescription.load(description))) {
      ledger.update(ledger.fields().with(DepartedImage.IDENTITY, moved.identity()));
    }
    Object file = Files.getAttribute(image, "unix:ino");
    try (QmpControl control = QmpControl.connect(qmp, CONTROL)) {
      control.pause();
      control.saveDeviceState();
    }
    recover(COPIES);
    assertThat(guest.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(image).doesNotExist();
    Path copy = Path.of(copies().getFirst().files().getFirst().copy());
    assertThat(Files.getAttribute(copy, "unix:ino")).isEqualTo(file);
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

  private String force(OwnershipLedger ledger) throws Exception {
    return new Recovery(ledger, new TlsOptions(), Duration.ZERO, true, true, null, CopyLimits.NONE)
        .run();
  }

  private boolean running() throws Exception {
    try (QmpControl control = QmpControl.connect(qmp, CONTROL)) {
      return control.status().running();
    }
  }

  @Test
  void aGuestThatWasHandedOverIsTakenBackByForceAlone() throws Exception {
    ScriptedTarget target = new ScriptedTarget(1);
    try (OwnershipLedger ledger = handedOver(target)) {
      target.close();
      CommandFailure failure = catchThrowableOfType(CommandFailure.class, () -> recover(ledger));
      assertThat(failure.exit()).isEqualTo(ExitCode.RECOVERABLE);
      assertThat(running()).isFalse();
      assertThat(force(ledger)).contains("demo", "taken back by force");
      assertThat(ledger.current()).isEqualTo(LedgerState.FAILED);
    }
    assertThat(running()).isTrue();
  }

  /** To that target, by an agent that is no more. */
  private OwnershipLedger handedOver(ScriptedTarget target) throws Exception {
    OwnershipLedger ledger =
        OwnershipLedger.create(
            folder,
            LedgerSide.SOURCE,
            UUID.randomUUID(),
            MigrationFields.withPeerName(
                LedgerFields.of("demo", "127.0.0.1:" + target.address().getPort())
                    .withDescription(description.toString())
                    .with("transport", "AUTO")
                    .with("plaintext", "loopback"),
                PeerIdentity.PLAINTEXT));
    ledger.record(LedgerState.PAUSED);
    ledger.record(LedgerState.HANDED_OVER);
    try (QmpControl control = QmpControl.connect(qmp, CONTROL)) {
      control.pause();
    }
    return ledger;
  }

  /** The same, and its pages were served there. */
  private OwnershipLedger serving(ScriptedTarget target) throws Exception {
    OwnershipLedger ledger = handedOver(target);
    ledger.record(LedgerState.SERVING);
    return ledger;
  }

  /** The agent ended between its word and the target's, so its own ledger does not tell. */
  @Test
  void aGuestThatTurnsOutToRunThereIsNotTakenBackByForce() throws Exception {
    try (ScriptedTarget target = new ScriptedTarget(1);
        OwnershipLedger ledger = handedOver(target)) {
      target.ownership = OwnershipState.FETCHING;
      CommandFailure failure = catchThrowableOfType(CommandFailure.class, () -> force(ledger));
      assertThat(failure).hasMessageContaining("older").hasMessageContaining("without --force");
      assertThat(failure.exit()).isEqualTo(ExitCode.REFUSED);
      assertThat(ledger.current()).isEqualTo(LedgerState.SERVING);
      assertThat(running()).isFalse();
    }
  }

  /** Whose certificate is misspelt has not heard that the target says nothing. */
  @Test
  void forceGoesNoFurtherThanTheOptionsThatItCameWith() throws Exception {
    try (ScriptedTarget target = new ScriptedTarget(1);
        OwnershipLedger ledger = handedOver(target)) {
      target.ownership = OwnershipState.RUNNING;
      TlsOptions misspelt = new TlsOptions();
      var _ =
          new CommandLine(misspelt)
              .setCaseInsensitiveEnumValuesAllowed(true)
              .parseArgs("--pki", "/none", "--name", "alpha");
      Recovery forced =
          new Recovery(ledger, misspelt, Duration.ZERO, true, true, null, CopyLimits.NONE);
      CommandFailure failure = catchThrowableOfType(CommandFailure.class, forced::run);
      assertThat(failure.exit()).isEqualTo(ExitCode.REFUSED);
      assertThat(ledger.current()).isEqualTo(LedgerState.HANDED_OVER);
      assertThat(running()).isFalse();
    }
  }

  @Test
  void theCopyOfAGuestThatHasMovedIsNotResumedByForce() throws Exception {
    try (ScriptedTarget target = new ScriptedTarget(1);
        OwnershipLedger ledger = handedOver(target)) {
      target.ownership = OwnershipState.RUNNING;
      assertThat(force(ledger)).contains("demo").doesNotContain("force");
      assertThat(ledger.current()).isEqualTo(LedgerState.COMPLETED);
    }
  }

  @Test
  void aGuestThatWasTakenOverAndIsNotKnownToRunIsTakenBackByForce() throws Exception {
    try (ScriptedTarget target = new ScriptedTarget(1);
        OwnershipLedger ledger = handedOver(target)) {
      target.ownership = OwnershipState.TAKEN_OVER;
      assertThat(force(ledger)).contains("taken back by force");
      assertThat(ledger.current()).isEqualTo(LedgerState.FAILED);
    }
    assertThat(running()).isTrue();
  }

  @ParameterizedTest
  @CsvSource({
    // It runs there, or did.
    "FETCHING,",
    "FETCHING,   GUEST_ENDED",
    "RUNNING,",
    // It may yet be started.
    "TAKEN_OVER, BUSY",
    "TAKEN_OVER,",
  })
  void aGuestThatIsTheTargetsIsNotTakenBackByForceEither(
      OwnershipState ownership, @Nullable AbortReason refusal) throws Exception {
    try (ScriptedTarget target = new ScriptedTarget(1);
        OwnershipLedger ledger = serving(target)) {
      target.ownership = ownership;
      target.refusal = refusal;
      CommandFailure failure = catchThrowableOfType(CommandFailure.class, () -> force(ledger));
      assertThat(failure).hasMessageContaining("older").hasMessageContaining("without --force");
      assertThat(failure.exit()).isEqualTo(ExitCode.REFUSED);
      assertThat(ledger.current()).isEqualTo(LedgerState.SERVING);
      assertThat(running()).isFalse();
    }
  }

  @Test
  void withoutTheTargetsWordAGuestWhosePagesAreFetchedIsNotTakenBack() throws Exception {
    ScriptedTarget target = new ScriptedTarget(1);
    try (OwnershipLedger ledger = serving(target)) {
      target.close();
      CommandFailure failure = catchThrowableOfType(CommandFailure.class, () -> force(ledger));
      assertThat(failure.exit()).isEqualTo(ExitCode.RECOVERABLE);
      assertThat(ledger.current()).isEqualTo(LedgerState.SERVING);
      assertThat(running()).isFalse();
    }
  }

  /** Nobody can say whether it ran there, so its user says whether it goes on here. */
  @Test
  void aGuestThatEndedUnseenIsKeptAndTakenBackByForceAlone() throws Exception {
    try (ScriptedTarget target = new ScriptedTarget(1024);
        OwnershipLedger ledger = serving(target)) {
      target.ownership = OwnershipState.TAKEN_OVER;
      target.refusal = AbortReason.GUEST_ENDED;
      CommandFailure failure = catchThrowableOfType(CommandFailure.class, () -> recover(ledger));
      assertThat(failure.exit()).isEqualTo(ExitCode.RECOVERABLE);
      assertThat(failure)
          .hasMessageContaining("not known to have run")
          .hasMessageContaining("source recover " + ledger.migration())
          .hasMessageContaining("--force");
      assertThat(ledger.current()).isEqualTo(LedgerState.SERVING);
      assertThat(running()).isFalse();
      assertThat(force(ledger)).contains("taken back by force");
      assertThat(ledger.current()).isEqualTo(LedgerState.FAILED);
    }
    assertThat(running()).isTrue();
  }

  @Test
  void aGuestThatEndedThereAndHereLeavesNothingOpen() throws Exception {
    try (ScriptedTarget target = new ScriptedTarget(1024);
        OwnershipLedger ledger = serving(target)) {
      target.ownership = OwnershipState.TAKEN_OVER;
      target.refusal = AbortReason.GUEST_ENDED;
      guest.destroyForcibly().waitFor();
      CommandFailure failure = catchThrowableOfType(CommandFailure.class, () -> recover(ledger));
      assertThat(failure.exit()).isEqualTo(ExitCode.FAILED);
      assertThat(ledger.current()).isEqualTo(LedgerState.COMPLETED);
    }
  }

  private static String recover(OwnershipLedger ledger) throws Exception {
    return new Recovery(ledger, new TlsOptions(), Duration.ZERO, false, true, null, CopyLimits.NONE)
        .run();
  }

  private OwnershipLedger paused(UUID another) throws Exception {
    OwnershipLedger ledger =
        OwnershipLedger.create(
            folder,
            LedgerSide.SOURCE,
            another,
            LedgerFields.of("demo", "target:1").withDescription(description.toString()));
    ledger.record(LedgerState.PAUSED);
    return ledger;
  }

  @Test
  void aGuestThatEndedWhileItWasPausedIsNotPausedForEver() throws Exception {
    guest.destroyForcibly().waitFor();
    try (OwnershipLedger ledger = paused(UUID.randomUUID())) {
      CommandFailure failure =
          catchThrowableOfType(
              CommandFailure.class,
              () ->
                  new Recovery(
                          ledger,
                          new TlsOptions(),
                          Duration.ZERO,
                          false,
                          true,
                          null,
                          CopyLimits.NONE)
                      .run());
      assertThat(failure.exit()).isEqualTo(ExitCode.FAILED);
      assertThat(failure).hasMessageContaining("has ended").hasMessageContaining(qmp.toString());
      assertThat(ledger.current()).isEqualTo(LedgerState.FAILED);
    }
  }

  /** Without a handover, as when its writes are found by comparing digests. */
  private CommandFailure retreat(OwnershipLedger ledger, SourceGuest held) {
    Verdict verdict = new Verdict(ExitCode.FAILED, AbortReason.IO_ERROR, "it broke");
    return Retreat.putBack(held, ledger, verdict, new IOException("it broke"));
  }

  @Test
  void aRetreatNoticesThatTheGuestEnded() throws Exception {
    try (SourceGuest held =
            SourceGuest.open(GuestDescription.load(description), UUID.randomUUID());
        OwnershipLedger ledger = paused(UUID.randomUUID())) {
      assertThat(held.gone()).isFalse();
      guest.destroyForcibly().waitFor();
      CommandFailure failure = retreat(ledger, held);
      assertThat(failure.exit()).isEqualTo(ExitCode.FAILED);
      assertThat(failure).hasMessageContaining("gone");
      assertThat(ledger.current()).isEqualTo(LedgerState.FAILED);
    }
  }

  @Test
  void aGuestThatDoesNotAnswerHasNotEnded() throws Exception {
    describe("2s");
    try (SourceGuest held =
            SourceGuest.open(GuestDescription.load(description), UUID.randomUUID());
        OwnershipLedger ledger = paused(UUID.randomUUID())) {
      signal("STOP");
      // A thread that runs may go on for a moment, and answer.
      await().atMost(CONTROL).ignoreExceptions().until(this::everyThreadIsStopped);
      CommandFailure failure = retreat(ledger, held);
      assertThat(failure.exit()).isEqualTo(ExitCode.RECOVERABLE);
      assertThat(ledger.current()).isEqualTo(LedgerState.PAUSED);
    } finally {
      signal("CONT");
    }
  }

  private boolean everyThreadIsStopped() throws IOException {
    try (DirectoryStream<Path> threads =
        Files.newDirectoryStream(Path.of("/proc/" + guest.pid() + "/task"))) {
      for (Path thread : threads) {
        String stat = Files.readString(thread.resolve("stat"));
        if (stat.charAt(stat.lastIndexOf(')') + 2) != 'T') {
          return false;
        }
      }
      return true;
    }
  }

  private void signal(String name) throws Exception {
    new ProcessBuilder("kill", "-" + name, Long.toString(guest.pid())).start().waitFor();
  }
}
