package io.pageferry.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.control.QmpControl;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Ownership;
import io.pageferry.protocol.message.OwnershipQuery;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.Reclaim;
import io.pageferry.protocol.message.Started;
import io.pageferry.target.recovery.Sweep;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Whose the guest is when a reply got lost, or an agent was killed: the ledger says, and only it.
 */
@Timeout(180)
class OwnershipTest {
  private static final long MEMORY = 4 << 20;

  private TargetBench bench;

  @BeforeEach
  void setUp() throws Exception {
    bench = new TargetBench();
    bench.describe("alpha", MEMORY);
  }

  @AfterEach
  void tearDown() throws Exception {
    bench.close();
  }

  private OwnershipState query(UUID migration) throws Exception {
    try (ScriptedSource asking = new ScriptedSource(bench.address(), MEMORY)) {
      asking.control.send(new OwnershipQuery(migration));
      return asking.expect(Ownership.class).state();
    }
  }

  private OwnershipState reclaim(UUID migration) throws Exception {
    try (ScriptedSource asking = new ScriptedSource(bench.address(), MEMORY)) {
      asking.control.send(new Reclaim(migration));
      return asking.expect(Ownership.class).state();
    }
  }

  @Test
  void questionsWithoutEndAreRefused() throws Exception {
    bench.start();
    UUID migration = UUID.randomUUID();
    try (ScriptedSource asking = new ScriptedSource(bench.address(), MEMORY)) {
      for (int i = 0; i < 100; i++) {
        asking.control.send(new OwnershipQuery(migration));
        asking.expect(Ownership.class);
      }
      asking.control.send(new OwnershipQuery(migration));
      assertThatThrownBy(() -> asking.expect(Ownership.class))
          .hasMessageContaining("more than 100 questions on one connection");
    }
  }

  @Test
  void aPeerHasOnlySoManyControlConnections() throws Exception {
    bench.start();
    List<ScriptedSource> open = new ArrayList<>();
    try {
      for (int i = 0; i < 64; i++) {
        open.add(new ScriptedSource(bench.address(), MEMORY));
      }
      assertThatThrownBy(() -> new ScriptedSource(bench.address(), MEMORY))
          .hasMessageContaining("has 64 control connections open already");
    } finally {
      open.forEach(ScriptedSource::close);
    }
  }

  @Test
  void aPreparedGuestWhoseSourceIsLostIsGivenBackWhenAsked() throws Exception {
    bench.start();
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY)) {
      ScriptedSource source = new ScriptedSource(bench.address(), MEMORY);
      source.prepare(guest, "alpha", 1, false);
      source.close();
      await()
          .atMost(Duration.ofSeconds(30))
          .until(() -> query(source.migration) == OwnershipState.PREPARED);
      assertThat(reclaim(source.migration)).isEqualTo(OwnershipState.ABANDONED);
      assertThat(query(source.migration)).isEqualTo(OwnershipState.ABANDONED);
      bench.awaitIdle();
      assertThat(bench.image("alpha")).doesNotExist();
      assertThat(bench.qmp("alpha")).doesNotExist();
    }
    bench.assertNothingLeft();
  }

  @Test
  void aPreparedGuestWhoseSourceNeverComesBackIsAbandoned() throws Exception {
    bench.limits = bench.limits.withAbandonAfter(Duration.ofMillis(500));
    bench.start();
    UUID migration;
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY)) {
      ScriptedSource source = new ScriptedSource(bench.address(), MEMORY);
      migration = source.migration;
      source.prepare(guest, "alpha", 1, false);
      source.close();
      bench.awaitIdle();
      assertThat(query(migration)).isEqualTo(OwnershipState.ABANDONED);
    }
    bench.assertNothingLeft();
  }

  @Test
  void aGuestThatWasTakenOverIsNotGivenBack() throws Exception {
    bench.start();
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      source.prepare(guest, "alpha", 1, false);
      source.control.send(new Commit());
      source.expect(Started.class);
      assertThat(reclaim(source.migration)).isIn(OwnershipState.TAKEN_OVER, OwnershipState.RUNNING);
      source.control.close();
      bench.awaitIdle();
      assertThat(reclaim(source.migration)).isEqualTo(OwnershipState.RUNNING);
      assertThat(bench.ledger(source.migration).state()).isEqualTo(LedgerState.TAKEN_OVER);
      // A source that lost the reply asks, and its thanks close the ledger.
      try (ScriptedSource asking = new ScriptedSource(bench.address(), MEMORY)) {
        asking.control.send(new OwnershipQuery(source.migration));
        assertThat(asking.expect(Ownership.class).state()).isEqualTo(OwnershipState.RUNNING);
        asking.control.send(new Goodbye());
        await()
            .atMost(TargetBench.PATIENCE)
            .until(() -> bench.ledger(source.migration).state() == LedgerState.COMPLETED);
      }
      assertThat(query(source.migration)).isEqualTo(OwnershipState.RUNNING);
      assertRuns(true);
    }
  }

  @Test
  void aMigrationThatNeverWasIsUnknownAndADamagedLedgerIsNot() throws Exception {
    bench.start();
    UUID unknown = UUID.randomUUID();
    assertThat(query(unknown)).isEqualTo(OwnershipState.UNKNOWN);
    assertThat(reclaim(unknown)).isEqualTo(OwnershipState.UNKNOWN);
    UUID damaged = UUID.randomUUID();
    Files.createDirectories(bench.state.resolve("target"));
    Files.writeString(bench.state.resolve("target/" + damaged + ".ledger"), "nonsense");
    try (ScriptedSource asking = new ScriptedSource(bench.address(), MEMORY)) {
      asking.control.send(new OwnershipQuery(damaged));
      assertThat(asking.expectAbort().text()).contains("ledger");
    }
  }

  @Test
  void aStoppingAgentAbandonsWhatIsNotTakenOver() throws Exception {
    bench.start();
    UUID receiving;
    try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      receiving = source.migration;
      source.begin("alpha", 1, false);
      bench.stop();
      assertThat(source.expectAbort().text()).contains("stopped");
    }
    assertThat(bench.ledger(receiving).state()).isEqualTo(LedgerState.ABANDONED);
    bench.assertNothingLeft();
  }

  @Test
  void anAgentKilledInMidRoundLeavesNothingAfterTheSweep() throws Exception {
    try (TargetProcess agent = new TargetProcess(bench);
        ScriptedSource source = new ScriptedSource(agent.address(), MEMORY)) {
      source.begin("alpha", 1, false);
      source.data.getFirst().sendFrame(source.batch(1, 0, 100, 'x'));
      agent.kill();
      assertThat(bench.processes()).as("the launched guest outlives the agent").isNotEmpty();
      List<Sweep.Finding> findings = new Sweep(bench.state).run();
      assertThat(findings).singleElement().matches(Sweep.Finding::settled);
      assertThat(findings.getFirst().sentence()).contains("alpha", "abandoned");
      assertThat(bench.ledger(source.migration).state()).isEqualTo(LedgerState.ABANDONED);
      assertThat(new Sweep(bench.state).run()).isEmpty();
    }
    bench.assertNothingLeft();
  }

  @Test
  void theNextAgentAnswersForOneThatWasKilledWhenPrepared() throws Exception {
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        TargetProcess agent = new TargetProcess(bench);
        ScriptedSource source = new ScriptedSource(agent.address(), MEMORY)) {
      source.prepare(guest, "alpha", 1, false);
      killWhenPrepared(agent, source);
      try (TargetProcess next = new TargetProcess(bench);
          ScriptedSource asking = new ScriptedSource(next.address(), MEMORY)) {
        asking.control.send(new OwnershipQuery(source.migration));
        assertThat(asking.expect(Ownership.class).state()).isEqualTo(OwnershipState.ABANDONED);
      }
      assertThat(bench.image("alpha")).doesNotExist();
    }
    bench.assertNothingLeft();
  }

  @Test
  void aGuestTakenOverByAKilledAgentIsStartedOnce() throws Exception {
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        TargetProcess agent = new TargetProcess(bench);
        ScriptedSource source = new ScriptedSource(agent.address(), MEMORY)) {
      source.prepare(guest, "alpha", 1, false);
      killWhenPrepared(agent, source);
      // As if the agent had been killed between its ledger and the guest's start.
      try (OwnershipLedger ledger =
          OwnershipLedger.open(bench.state, LedgerSide.TARGET, source.migration)) {
        ledger.record(LedgerState.TAKEN_OVER);
      }
      assertRuns(false);
      List<Sweep.Finding> findings = new Sweep(bench.state).run();
      assertThat(findings).singleElement().matches(Sweep.Finding::settled);
      assertThat(findings.getFirst().sentence()).contains("has been started");
      assertRuns(true);
      try (QmpControl here = QmpControl.connect(bench.qmp("alpha"), Duration.ofSeconds(30))) {
        here.pause();
      }
      assertThat(new Sweep(bench.state).run()).as("its user has paused it since").isEmpty();
      assertRuns(false);
    }
  }

  @Test
  void aGuestThatWasTakenOverAndEndedIsReported() throws Exception {
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        TargetProcess agent = new TargetProcess(bench);
        ScriptedSource source = new ScriptedSource(agent.address(), MEMORY)) {
      source.prepare(guest, "alpha", 1, false);
      killWhenPrepared(agent, source);
      try (OwnershipLedger ledger =
          OwnershipLedger.open(bench.state, LedgerSide.TARGET, source.migration)) {
        ledger.record(LedgerState.TAKEN_OVER);
      }
      try (QmpControl here = QmpControl.connect(bench.qmp("alpha"), Duration.ofSeconds(30))) {
        here.quit();
      }
      await().atMost(TargetBench.PATIENCE).until(() -> !Files.exists(bench.qmp("alpha")));
      List<Sweep.Finding> findings = new Sweep(bench.state).run();
      assertThat(findings).singleElement().matches(finding -> !finding.settled());
      assertThat(findings.getFirst().sentence())
          .contains(
              "alpha", "belongs to this host", "source recover " + source.migration + " --force");
    }
  }

  /** What it has said is on its disk a moment later. */
  private void killWhenPrepared(TargetProcess agent, ScriptedSource source) throws Exception {
    await()
        .atMost(Duration.ofSeconds(30))
        .until(() -> bench.ledger(source.migration).state() == LedgerState.PREPARED);
    agent.kill();
  }

  private void assertRuns(boolean running) throws Exception {
    try (QmpControl here = QmpControl.connect(bench.qmp("alpha"), Duration.ofSeconds(30))) {
      assertThat(here.status().running()).isEqualTo(running);
    }
  }
}
