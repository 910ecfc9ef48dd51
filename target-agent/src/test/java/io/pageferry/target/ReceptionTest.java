package io.pageferry.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.guest.control.GuestTicks;
import io.pageferry.guest.control.QmpControl;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Prepared;
import io.pageferry.protocol.message.Started;
import java.nio.file.Files;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A real guest's memory and state arrive, and it runs here. */
@Timeout(150)
class ReceptionTest {
  private static final long MEMORY = 8 << 20;

  private TargetBench bench;

  @BeforeEach
  void setUp() throws Exception {
    bench = new TargetBench();
    bench.start();
  }

  @AfterEach
  void tearDown() throws Exception {
    bench.close();
  }

  @ParameterizedTest(name = "{0} channel(s), verifyFull {1}")
  @CsvSource({"1, false", "3, true"})
  void aGuestArrivesAndRunsOn(int channels, boolean verifyFull) throws Exception {
    bench.describe("alpha", MEMORY);
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      long ticksBefore = guest.control.ticks().orElseThrow().ticks();
      Prepared prepared = source.prepare(guest, "alpha", channels, verifyFull);
      assertThat(prepared.digestMatches()).isTrue();
      assertThat(prepared.high()).isEqualTo(source.digest().high());
      await()
          .atMost(Duration.ofSeconds(30))
          .until(() -> bench.ledger(source.migration).state() == LedgerState.PREPARED);

      source.control.send(new Commit());
      Started started = source.expect(Started.class);
      assertThat(started.takeOverMicros()).isPositive();
      assertThat(started.deviceLoadMicros()).isPositive();
      assertThat(started.guestDowntimeMicros()).isPositive();
      source.control.send(new Goodbye());

      bench.awaitIdle();
      assertThat(bench.ledger(source.migration).state()).isEqualTo(LedgerState.COMPLETED);
      try (QmpControl here = QmpControl.connect(bench.qmp("alpha"), Duration.ofSeconds(30))) {
        await()
            .atMost(TargetBench.PATIENCE)
            .until(() -> here.ticks().orElseThrow().ticks() > ticksBefore + 100);
        GuestTicks checked = here.verify(TargetBench.PATIENCE).orElseThrow();
        assertThat(checked.pagesVerified()).isEqualTo(MEMORY / 4096);
        assertThat(checked.faultsFound()).isZero();
      }
      assertThat(bench.registry.get("pageferry.target.migrations").counter().count()).isEqualTo(1);
    }
  }

  @Test
  void theGuestOutlivesTheServerThatLaunchedIt() throws Exception {
    bench.describe("alpha", MEMORY);
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      source.prepare(guest, "alpha", 1, false);
      source.control.send(new Commit());
      source.expect(Started.class);
      source.control.send(new Goodbye());
      bench.awaitIdle();
      bench.stop();
      try (QmpControl here = QmpControl.connect(bench.qmp("alpha"), Duration.ofSeconds(30))) {
        assertThat(here.status().running()).isTrue();
      }
    }
  }

  @Test
  void aGuestThatItsUserStartedHereArrivesInItsOwnImage() throws Exception {
    Files.write(bench.image("alpha"), new byte[(int) MEMORY]);
    bench.describe("alpha", null, bench.image("alpha").toString(), List.of());
    Process waiting =
        new ProcessBuilder(bench.demoGuest("alpha"))
            .redirectErrorStream(true)
            .redirectOutput(bench.log("alpha").toFile())
            .start();
    await().atMost(TargetBench.PATIENCE).until(() -> Files.exists(bench.qmp("alpha")));
    // A migration that comes to nothing leaves the user's guest and its image alone.
    try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      source.begin("alpha", 1, false);
      source.control.send(new Abort(AbortReason.CANCELLED, "enough"));
    }
    bench.awaitIdle();
    assertThat(waiting.isAlive()).isTrue();
    assertThat(bench.image("alpha")).exists();
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      source.prepare(guest, "alpha", 1, true);
      source.control.send(new Commit());
      source.expect(Started.class);
      source.control.send(new Goodbye());
      bench.awaitIdle();
      try (QmpControl here = QmpControl.connect(bench.qmp("alpha"), Duration.ofSeconds(30))) {
        assertThat(here.status().running()).isTrue();
        assertThat(here.verify(TargetBench.PATIENCE).orElseThrow().faultsFound()).isZero();
      }
    } finally {
      waiting.destroyForcibly();
    }
  }

  @Test
  void twoGuestsArriveAtOnce() throws Exception {
    bench.describe("alpha", MEMORY);
    bench.describe("beta", MEMORY);
    try (DemoGuestProcess one = new DemoGuestProcess(bench, "alpha", MEMORY);
        DemoGuestProcess two = new DemoGuestProcess(bench, "beta", MEMORY);
        ScriptedSource first = new ScriptedSource(bench.address(), MEMORY);
        ScriptedSource second = new ScriptedSource(bench.address(), MEMORY)) {
      first.begin("alpha", 2, false);
      second.begin("beta", 2, false);
      for (int round = 1; round <= 3; round++) {
        first.round(round, round == 3, one.memory);
        second.round(round, round == 3, two.memory);
      }
      first.finish(one.control.saveDeviceState(), false);
      second.finish(two.control.saveDeviceState(), false);
      for (ScriptedSource source : new ScriptedSource[] {second, first}) {
        source.expect(Prepared.class);
        source.control.send(new Commit());
        source.expect(Started.class);
        source.control.send(new Goodbye());
      }
      bench.awaitIdle();
      for (String guest : new String[] {"alpha", "beta"}) {
        try (QmpControl here = QmpControl.connect(bench.qmp(guest), Duration.ofSeconds(30))) {
          assertThat(here.status().running()).isTrue();
          assertThat(here.verify(TargetBench.PATIENCE).orElseThrow().faultsFound()).isZero();
        }
      }
    }
  }
}
