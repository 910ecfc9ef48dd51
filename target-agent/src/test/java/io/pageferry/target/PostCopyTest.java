package io.pageferry.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.guest.control.GuestTicks;
import io.pageferry.guest.control.QmpControl;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.message.Started;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A real guest runs here before its memory has come, and its faults are served. */
@Timeout(150)
class PostCopyTest {
  private static final long MEMORY = 8 << 20;

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
      Settled settled = pages.settle(0);
      assertThat(settled.comparison()).isEqualTo(Comparison.EQUAL);
      assertThat(settled.faults()).isPositive();
      assertThat(settled.p50Nanos()).isPositive();
      assertThat(settled.duplicates()).isZero();
      assertThat(settled.guestMilliOpsPerSecond()).isPositive();
      bench.awaitIdle();
      assertThat(bench.ledger(source.migration).state()).isEqualTo(LedgerState.COMPLETED);
      try (QmpControl here = QmpControl.connect(bench.qmp("alpha"), Duration.ofSeconds(5))) {
        await().until(() -> here.ticks().orElseThrow().ticks() > ticksBefore + 100);
        assertGuestIsWhole(here);
      }
      assertThat(bench.registry.get("pageferry.target.fault").timer().count()).isPositive();
    }
  }

  private static void assertGuestIsWhole(QmpControl here) throws Exception {
    GuestTicks checked = here.verify(Duration.ofSeconds(30)).orElseThrow();
    assertThat(checked.pagesVerified()).isEqualTo(MEMORY / 4096);
    assertThat(checked.faultsFound()).as("%s", checked.firstFault()).isZero();
    assertThat(checked.running()).isTrue();
  }
}
