package io.pageferry.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.guest.control.GuestTicks;
import io.pageferry.guest.control.QmpControl;
import io.pageferry.guest.linux.Userfaultfd;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.Resume;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.message.Started;
import io.pageferry.target.incoming.TargetLedger;
import io.pageferry.target.recovery.Sweep;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A real guest runs here before its memory has come, and its faults are served. */
@Timeout(150)
class PostCopyTest {
  private static final long MEMORY = 8 << 20;
  private static final int PAGES = (int) (MEMORY / 4096);

  /** What a delta carries whose page is all zeros; PROTOCOL.md, section 10. */
  private static final int HASH_OF_ZEROS = 0xa9b4e2dc;

  private TargetBench bench;

  @BeforeEach
  void setUp() throws Exception {
    bench = new TargetBench();
    bench.describe("alpha", MEMORY);
    bench.start();
  }

  @AfterEach
  void tearDown() throws Exception {
    bench.close();
  }

  @Test
  void aGuestRunsBeforeItsMemoryHasCome() throws Exception {
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        ScriptedSource source = new ScriptedSource(bench.address(), MEMORY);
        ScriptedPages pages = new ScriptedPages(source, guest.memory)) {
      long ticksBefore = guest.control.ticks().orElseThrow().ticks();
      Started started = pages.start(guest, "alpha", 2);
      assertThat(started.deviceLoadMicros()).isPositive();
      // On a slow machine the push is over before the guest has touched its first page.
      await().atMost(TargetBench.PATIENCE).until(() -> pages.requests.get() > 0);
      awaitWork();
      Settled settled = pages.settle(0);
      assertThat(settled.comparison()).isEqualTo(Comparison.EQUAL);
      assertThat(settled.faults()).isPositive();
      assertThat(settled.p50Nanos()).isPositive();
      assertThat(settled.duplicates()).isZero();
      assertThat(settled.guestMilliOpsPerSecond()).isPositive();
      assertThat(settled.afterMilliOpsPerSecond()).isPositive();
      bench.awaitIdle();
      assertThat(bench.ledger(source.migration).state()).isEqualTo(LedgerState.COMPLETED);
      try (QmpControl here = QmpControl.connect(bench.qmp("alpha"), Duration.ofSeconds(30))) {
        await()
            .atMost(TargetBench.PATIENCE)
            .until(() -> here.ticks().orElseThrow().ticks() > ticksBefore + 100);
        assertGuestIsWhole(here);
      }
      assertThat(bench.registry.get("pageferry.target.fault").timer().count()).isPositive();
    }
  }

  @Test
  void aLostConnectionPausesAndTheSourceGoesOnFromWhatIsMissing() throws Exception {
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        ScriptedSource source = new ScriptedSource(bench.address(), MEMORY);
        ScriptedPages pages = new ScriptedPages(source, guest.memory)) {
      pages.start(guest, "alpha", 2);
      pages.answering = false;
      pages.push(100);
      // What is still on its way when the connection goes is lost with it.
      awaitLanded(100);
      pages.cut();
      awaitPaused();
      pages.answering = true;
      pages.resume();
      assertThat(pages.left())
          .as("what had come is not sent again")
          .isLessThanOrEqualTo(PAGES - 100);
      // Once more, and this time the old connection is there when the new one comes.
      pages.answering = false;
      pages.resume();
      // A missing page has nothing that it could differ from: this ends the connection, no more.
      // Applied to the hole in the image it would come out right, and land.
      await().atMost(TargetBench.PATIENCE).until(() -> !paused());
      pages
          .data
          .getFirst()
          .sendFrame(ScriptedSource.deltaBatch(pages.round, PAGES - 1, HASH_OF_ZEROS));
      awaitPaused();
      pages.resume();
      pages.answering = true;
      assertThat(pages.settle(0).comparison()).isEqualTo(Comparison.EQUAL);
      assertArrived(source);
    }
  }

  @Test
  void channelsThatAreLostBeforeTheSourcesWordDecideNothing() throws Exception {
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        ScriptedSource source = new ScriptedSource(bench.address(), MEMORY);
        ScriptedPages pages = new ScriptedPages(source, guest.memory)) {
      pages.prepare(guest, "alpha", 1);
      pages.data.getFirst().close();
      Objects.requireNonNull(pages.fault).close();
      assertThatThrownBy(() -> pages.control.receive(Duration.ofMillis(600)))
          .as("the target waits for the source's word")
          .isInstanceOf(TimeoutException.class);
      pages.control.send(new Commit());
      source.expect(Started.class);
      awaitPaused();
      pages.resume();
      assertThat(pages.settle(0).comparison()).isEqualTo(Comparison.EQUAL);
      assertArrived(source);
    }
  }

  @Test
  void aSourceThatNeverAnswersIsLetGoAndMayComeBack() throws Exception {
    bench.stop();
    bench.limits = bench.limits.withAnswerLimit(Duration.ofSeconds(3));
    bench.start();
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        ScriptedSource source = new ScriptedSource(bench.address(), MEMORY);
        ScriptedPages pages = new ScriptedPages(source, guest.memory)) {
      pages.start(guest, "alpha", 1);
      pages.answering = false;
      awaitPaused();
      pages.answering = true;
      pages.resume();
      assertThat(pages.settle(0).comparison()).isEqualTo(Comparison.EQUAL);
      assertArrived(source);
    }
  }

  @Test
  void pagesThatComeAgainWithOtherContentChangeNothing() throws Exception {
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        ScriptedSource source = new ScriptedSource(bench.address(), MEMORY);
        ScriptedPages pages = new ScriptedPages(source, guest.memory)) {
      pages.start(guest, "alpha", 1);
      int page = pages.next();
      assertThat(page).isNotNegative();
      pages.data.getFirst().sendFrame(pages.batch(page, 1));
      for (int i = 0; i < 3; i++) {
        pages.data.getFirst().sendFrame(ScriptedSource.rawBatch(pages.round, 0, page, 1));
      }
      Settled settled = pages.settle(4);
      assertThat(settled.duplicates()).isEqualTo(3);
      assertThat(settled.comparison()).isEqualTo(Comparison.EQUAL);
      assertArrived(source);
    }
  }

  @Test
  void aGuestThatEndsTooEarlyEndsItsMigration() throws Exception {
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        ScriptedSource source = new ScriptedSource(bench.address(), MEMORY);
        ScriptedPages pages = new ScriptedPages(source, guest.memory)) {
      pages.start(guest, "alpha", 1);
      pages.answering = false;
      launched(source).destroyForcibly();
      bench.awaitIdle();
      assertThat(bench.ledger(source.migration).state()).isEqualTo(LedgerState.COMPLETED);
      Abort abort = pages.resumeRefused();
      assertThat(abort.reason()).isEqualTo(AbortReason.GUEST_ENDED);
      assertThat(abort.text()).contains("ended");
      assertThat(bench.image("alpha")).doesNotExist();
      assertThat(TargetBench.files(bench.state.resolve("target")))
          .noneMatch(file -> file.endsWith(".missing"));
    }
  }

  @Test
  void aGuestWhoseFaultsCannotBeServedAnyMoreIsTakenUpAgain() throws Exception {
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        ScriptedSource source = new ScriptedSource(bench.address(), MEMORY);
        ScriptedPages pages = new ScriptedPages(source, guest.memory)) {
      pages.start(guest, "alpha", 1);
      pages.answering = false;
      pages.push(100);
      for (int broken = 0; broken < 2; broken++) {
        BrokenDescriptors.breakUserfaultfds();
        await().atMost(TargetBench.PATIENCE).until(PostCopyTest::holdsFaults);
        awaitPaused();
      }
      pages.answering = true;
      pages.resume();
      assertThat(pages.settle(0).comparison()).isEqualTo(Comparison.UNKNOWN);
      assertArrived(source);
    }
  }

  @Test
  void aTargetThatIsKilledTakesItsGuestUpAgain() throws Exception {
    bench.stop();
    try (DemoGuestProcess guest = new DemoGuestProcess(bench, "alpha", MEMORY);
        TargetProcess killed = new TargetProcess(bench);
        ScriptedSource source = new ScriptedSource(killed.address(), MEMORY);
        ScriptedPages pages = new ScriptedPages(source, guest.memory)) {
      pages.start(guest, "alpha", 2);
      pages.answering = false;
      pages.push(100);
      awaitLanded(100);
      killed.kill();
      ProcessHandle running = launched(source);
      try (TargetProcess sweep =
          new TargetProcess(bench, "sweep", "--state", bench.state.toString())) {
        assertThat(sweep.exitCode()).isEqualTo(1);
        assertThat(sweep.out()).contains("pageferry target serve", source.migration.toString());
      }
      assertThat(running.isAlive()).isTrue();
      try (TargetProcess restarted = new TargetProcess(bench)) {
        source.target = restarted.address();
        await()
            .atMost(TargetBench.PATIENCE)
            .until(() -> restarted.err().contains("taken up again"));
        pages.answering = true;
        pages.resume();
        assertThat(pages.left()).isLessThanOrEqualTo(PAGES - 100);
        assertThat(pages.settle(0).comparison()).isEqualTo(Comparison.UNKNOWN);
        assertArrived(source);
      }
    }
  }

  @Test
  void nobodyButItsSourceMayBringWhatIsMissing() throws Exception {
    try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      LedgerFields fields = LedgerFields.of("alpha", "another").with(TargetLedger.POSTCOPY, "true");
      try (OwnershipLedger ledger =
          OwnershipLedger.create(bench.state, LedgerSide.TARGET, source.migration, fields)) {
        ledger.record(LedgerState.PREPARED);
        ledger.record(LedgerState.TAKEN_OVER);
        source.control.send(new Resume(source.migration));
        assertThat(source.expectAbort().reason()).isEqualTo(AbortReason.NOT_AUTHORISED);
      }
    }
    try (ScriptedSource source = new ScriptedSource(bench.address(), MEMORY)) {
      source.control.send(new Resume(source.migration));
      assertThat(source.expectAbort().reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION);
    }
  }

  @Test
  void whatAnAgentNoLongerNeededWhenItWasKilledIsRemoved() throws Exception {
    UUID migration = UUID.randomUUID();
    Path list = Files.writeString(bench.root.resolve("pages.missing"), "none");
    LedgerFields fields =
        LedgerFields.of("alpha", "sender")
            .with(TargetLedger.MISSING_PAGES, list.toString())
            .with(TargetLedger.POSTCOPY, "true")
            .with(TargetLedger.STARTED, "true");
    try (OwnershipLedger ledger =
        OwnershipLedger.create(bench.state, LedgerSide.TARGET, migration, fields)) {
      ledger.record(LedgerState.PREPARED);
      ledger.record(LedgerState.TAKEN_OVER);
    }
    assertThat(new Sweep(bench.state).run()).isEmpty();
    assertThat(list).as("pages are missing").exists();
    try (OwnershipLedger ledger = OwnershipLedger.open(bench.state, LedgerSide.TARGET, migration)) {
      ledger.update(fields.with(TargetLedger.FETCHED, "true"));
    }
    assertThat(new Sweep(bench.state).run()).isEmpty();
    assertThat(list).doesNotExist();
  }

  private static boolean holdsFaults() throws Exception {
    return !Userfaultfd.heldBy((int) ProcessHandle.current().pid()).isEmpty();
  }

  /** The guest gets something done while most of its pages are missing. */
  private void awaitWork() throws Exception {
    long before = operations();
    await().atMost(TargetBench.PATIENCE).until(() -> operations() > before);
  }

  private long operations() throws Exception {
    try (QmpControl here = QmpControl.connect(bench.qmp("alpha"), Duration.ofSeconds(30))) {
      return here.ticks().orElseThrow().operations();
    }
  }

  /** At least so many pages are in the image. */
  private void awaitLanded(long pages) {
    await()
        .atMost(TargetBench.PATIENCE)
        .until(() -> PageLandingTest.allocatedPages(bench.image("alpha")) >= pages);
  }

  private void awaitPaused() {
    await().atMost(TargetBench.PATIENCE).until(this::paused);
  }

  private boolean paused() {
    return bench.server().status().stream()
        .anyMatch(one -> one.phase().startsWith("paused") && one.remainingPages() > 0);
  }

  private ProcessHandle launched(ScriptedSource source) throws Exception {
    return Objects.requireNonNull(
        Objects.requireNonNull(bench.ledger(source.migration).fields().launched()).find());
  }

  /** It runs, and every page is what it has to be. */
  private void assertArrived(ScriptedSource source) throws Exception {
    await()
        .atMost(TargetBench.PATIENCE)
        .until(
            () ->
                bench.ledger(source.migration).state() == LedgerState.COMPLETED
                    && !bench.ledger(source.migration).held());
    try (QmpControl here = QmpControl.connect(bench.qmp("alpha"), Duration.ofSeconds(30))) {
      assertGuestIsWhole(here);
    }
  }

  private static void assertGuestIsWhole(QmpControl here) throws Exception {
    GuestTicks checked = here.verify(TargetBench.PATIENCE).orElseThrow();
    assertThat(checked.pagesVerified()).isEqualTo(MEMORY / 4096);
    assertThat(checked.faultsFound()).as("%s", checked.firstFault()).isZero();
    assertThat(checked.running()).isTrue();
  }
}
