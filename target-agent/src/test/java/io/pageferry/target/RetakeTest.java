package io.pageferry.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.control.GuestTicks;
import io.pageferry.guest.control.QmpControl;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.target.incoming.TargetLedger;
import io.pageferry.target.recovery.Sweep;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A guest whose pages are missing, and whose agent is gone, has lost it, or cannot let it run. */
@Timeout(150)
class RetakeTest {
  private static final long MEMORY = 8 << 20;

  /**
   * More than a process has that does not show what it has mapped, as the first one of some hosts.
   */
  private static final long LARGE = 96 << 20;

  private TargetBench bench;

  @BeforeEach
  void setUp() throws Exception {
    bench = new TargetBench();
  }

  @AfterEach
  void tearDown() throws Exception {
    bench.close();
  }

  /**
   * A guest that answers for what it cannot answer: all of its memory, of which much is missing.
   */
  @Test
  void aGuestThatWaitsForAPageItselfIsServedBeforeItIsAsked() throws Exception {
    bench.describe("alpha", MEMORY);
    Path description = bench.guests.resolve("alpha.yaml");
    Files.writeString(
        description, Files.readString(description).replace("timeout: 30s", "timeout: 5s"));
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        TargetProcess killed = new TargetProcess(bench);
        ScriptedSource source = new ScriptedSource(killed.address(), MEMORY);
        ScriptedPages pages = new ScriptedPages(source, guest.memory)) {
      start(source, pages, guest, 2);
      pages.answering = false;
      killed.kill();
      try (QmpControl asking = QmpControl.connect(bench.qmp("alpha"), Duration.ofSeconds(30))) {
        FutureTask<GuestTicks> checked =
            new FutureTask<>(() -> asking.verify(TargetBench.PATIENCE).orElseThrow());
        Thread.ofPlatform().daemon().start(checked);
        try (TargetProcess restarted = new TargetProcess(bench)) {
          source.target = restarted.address();
          awaitTakenUp(restarted);
          assertThat(checked.state()).isEqualTo(Future.State.RUNNING);
          pages.answering = true;
          pages.resume();
          assertThat(pages.settle(0).comparison()).isEqualTo(Comparison.UNKNOWN);
          assertThat(checked.get().faultsFound()).isZero();
          awaitCompleted(source);
        }
      }
      assertWhole();
    }
  }

  @Test
  void aGuestThatEndsWhileNoAgentIsThereIsNotWaitedFor() throws Exception {
    try (WaitingGuest here = new WaitingGuest(bench, "alpha", LARGE, bench.qmp("alpha"));
        DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", LARGE);
        TargetProcess killed = new TargetProcess(bench);
        ScriptedSource source = new ScriptedSource(killed.address(), LARGE);
        ScriptedPages pages = new ScriptedPages(source, guest.memory)) {
      start(source, pages, guest, 1);
      pages.answering = false;
      killed.kill();
      here.kill();
      try (TargetProcess restarted = new TargetProcess(bench)) {
        source.target = restarted.address();
        awaitCompleted(source);
        assertThat(pages.resumeRefused().reason()).isEqualTo(AbortReason.GUEST_ENDED);
      }
      assertThat(bench.image("alpha")).as("its user's").exists();
    }
  }

  /** Nobody answers there either, and yet it lives. */
  @Test
  void aGuestWhoseSocketWasTakenAwayHasNotEnded() throws Exception {
    Path qmp = bench.qmp("alpha");
    try (WaitingGuest here = new WaitingGuest(bench, "alpha", MEMORY, qmp);
        DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        TargetProcess killed = new TargetProcess(bench);
        ScriptedSource source = new ScriptedSource(killed.address(), MEMORY);
        ScriptedPages pages = new ScriptedPages(source, guest.memory)) {
      start(source, pages, guest, 1);
      pages.answering = false;
      killed.kill();
      Path away = Files.move(qmp, bench.root.resolve("away.qmp"));
      try (TargetProcess restarted = new TargetProcess(bench)) {
        source.target = restarted.address();
        awaitTakenUp(restarted);
        pages.answering = true;
        pages.resume();
        assertThat(pages.settle(0).comparison()).isEqualTo(Comparison.UNKNOWN);
        awaitCompleted(source);
      }
      assertThat(here.process.isAlive()).isTrue();
      Files.move(away, qmp);
      assertWhole();
    }
  }

  @Test
  void aGuestThatItsLivingAgentHasLostIsTakenUpWhenItsSourceAsks() throws Exception {
    bench.describe("alpha", MEMORY);
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        TargetProcess killed = new TargetProcess(bench);
        ScriptedSource source = new ScriptedSource(killed.address(), MEMORY);
        ScriptedPages pages = new ScriptedPages(source, guest.memory)) {
      start(source, pages, guest, 1);
      pages.answering = false;
      killed.kill();
      try (OwnershipLedger held =
          OwnershipLedger.open(bench.state, LedgerSide.TARGET, source.migration)) {
        assertThat(held.current()).isEqualTo(LedgerState.TAKEN_OVER);
        bench.start();
        assertThat(bench.server().status()).isEmpty();
      }
      source.target = bench.address();
      assertThat(pages.resumeRefused().reason()).isEqualTo(AbortReason.BUSY);
      awaitPaused();
      pages.answering = true;
      pages.resume();
      assertThat(pages.settle(0).comparison()).isEqualTo(Comparison.UNKNOWN);
      awaitCompleted(source);
      assertWhole();
    }
  }

  /** SETTLED is the leave to end the copy on the source. */
  @Test
  void theSourceIsToldToEndItsCopyOnlyWhenTheGuestRuns() throws Exception {
    Path own = bench.root.resolve("own.qmp");
    bench.start();
    try (WaitingGuest here = new WaitingGuest(bench, "alpha", MEMORY, own);
        QmpGate gate = new QmpGate(bench.qmp("alpha"), own);
        DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        ScriptedSource source = new ScriptedSource(bench.address(), MEMORY);
        ScriptedPages pages = new ScriptedPages(source, guest.memory)) {
      gate.refusing = true;
      pages.prepare(guest, "alpha", 1);
      pages.control.send(new Commit());
      awaitPaused();
      assertThat(here.process.isAlive()).isTrue();
      pages.resume();
      pages.pushTheRest(0);
      assertThatThrownBy(() -> pages.control.receive(Duration.ofSeconds(1)))
          .as("it does not run")
          .isInstanceOf(TimeoutException.class);
      assertThat(started(source)).isFalse();
      gate.refusing = false;
      assertThat(pages.settled().comparison()).isEqualTo(Comparison.EQUAL);
      assertThat(started(source)).isTrue();
      awaitCompleted(source);
      assertWhole();
      assertThat(gate.toldToRun).hasValue(1);
    }
  }

  /** Between "taken over" and the guest's start, and between that and its being written down. */
  @ParameterizedTest
  @ValueSource(strings = {"taken-over", "started"})
  void anAgentKilledAroundTheStartLeavesAGuestThatNeedsItsSource(String phase) throws Exception {
    Path own = bench.root.resolve("own.qmp");
    try (WaitingGuest here = new WaitingGuest(bench, "alpha", MEMORY, own);
        QmpGate gate = new QmpGate(bench.qmp("alpha"), own);
        DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        TargetProcess killed =
            new TargetProcess(bench, Map.of("PAGEFERRY_HOLD", phase + ":60000"));
        ScriptedSource source = new ScriptedSource(killed.address(), MEMORY);
        ScriptedPages pages = new ScriptedPages(source, guest.memory)) {
      pages.answering = false;
      pages.prepare(guest, "alpha", 1);
      pages.control.send(new Commit());
      await()
          .atMost(TargetBench.PATIENCE)
          .until(() -> killed.err().contains("holding at " + phase));
      assertThat(pages.query()).isEqualTo(OwnershipState.TAKEN_OVER);
      killed.kill();
      assertThat(started(source)).isFalse();
      assertThat(new Sweep(bench.state).run()).isEmpty();
      assertThat(gate.toldToRun).hasValue(phase.equals("started") ? 1 : 0);
      // As one that the source asks before anybody there looks after the guest.
      try (OwnershipLedger held =
          OwnershipLedger.open(bench.state, LedgerSide.TARGET, source.migration)) {
        assertThat(held.current()).isEqualTo(LedgerState.TAKEN_OVER);
        bench.start();
        source.target = bench.address();
        assertThat(pages.query()).isEqualTo(OwnershipState.TAKEN_OVER);
      }
      await()
          .atMost(TargetBench.PATIENCE)
          .until(() -> answeredOfOneThatLacksPages(pages) == OwnershipState.FETCHING);
      await().atMost(TargetBench.PATIENCE).until(() -> started(source));
      assertThat(answeredOfOneThatLacksPages(pages)).isEqualTo(OwnershipState.FETCHING);
      assertThat(gate.toldToRun).as("told to run").hasValue(1);
      pages.answering = true;
      pages.resume();
      assertThat(pages.settle(0).comparison()).isEqualTo(Comparison.UNKNOWN);
      awaitCompleted(source);
      assertWhole();
      assertThat(here.process.isAlive()).isTrue();
    }
  }

  /**
   * The guest runs on the target and its agent has written that down. One that has not asks the
   * guest first when it takes it up, which may have another client by then, or be out of reach.
   */
  private void start(
      ScriptedSource source, ScriptedPages pages, DemoGuestProcess guest, int channels)
      throws Exception {
    pages.start(guest, "alpha", channels);
    await().atMost(TargetBench.PATIENCE).until(() -> started(source));
  }

  private static OwnershipState answeredOfOneThatLacksPages(ScriptedPages pages) throws Exception {
    OwnershipState state = pages.query();
    assertThat(state).isIn(OwnershipState.TAKEN_OVER, OwnershipState.FETCHING);
    return state;
  }

  private static void awaitTakenUp(TargetProcess agent) {
    await().atMost(TargetBench.PATIENCE).until(() -> agent.err().contains("taken up again"));
  }

  private void awaitPaused() {
    await()
        .atMost(TargetBench.PATIENCE)
        .until(
            () ->
                bench.server().status().stream()
                    .anyMatch(one -> one.phase().startsWith("paused") && one.remainingPages() > 0));
  }

  private boolean started(ScriptedSource source) throws Exception {
    return bench.ledger(source.migration).fields().isSet(TargetLedger.STARTED);
  }

  private void awaitCompleted(ScriptedSource source) {
    await()
        .atMost(TargetBench.PATIENCE)
        .until(
            () ->
                bench.ledger(source.migration).state() == LedgerState.COMPLETED
                    && !bench.ledger(source.migration).held());
  }

  /** It runs, and every page is what it has to be. */
  private void assertWhole() throws Exception {
    try (QmpControl here = QmpControl.connect(bench.qmp("alpha"), Duration.ofSeconds(30))) {
      GuestTicks checked = here.verify(TargetBench.PATIENCE).orElseThrow();
      assertThat(checked.pagesVerified()).isEqualTo(MEMORY / 4096);
      assertThat(checked.faultsFound()).as("%s", checked.firstFault()).isZero();
      assertThat(checked.running()).isTrue();
    }
  }
}
