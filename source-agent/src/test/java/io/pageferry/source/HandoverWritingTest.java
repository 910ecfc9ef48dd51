package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import java.nio.file.Path;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A guest that is given away on disk, and taken back as long as nobody was told. */
@Timeout(60)
class HandoverWritingTest {
  @TempDir private Path state;
  private OwnershipLedger ledger;

  @BeforeEach
  void pause() throws Exception {
    ledger =
        OwnershipLedger.create(
            state, LedgerSide.SOURCE, UUID.randomUUID(), LedgerFields.of("demo", "target:1"));
    ledger.record(LedgerState.STREAMING);
    ledger.record(LedgerState.PAUSED);
  }

  @AfterEach
  void close() {
    ledger.close();
  }

  private LedgerState onDisk() throws Exception {
    return OwnershipLedger.read(state, LedgerSide.SOURCE, ledger.migration()).state();
  }

  @Test
  void itIsOnDiskBeforeTheTargetIsTold() throws Exception {
    try (HandoverWriting handover = new HandoverWriting(ledger)) {
      handover.begin();
      handover.await();
      assertThat(onDisk()).isEqualTo(LedgerState.HANDED_OVER);
      handover.committing();
    }
    assertThat(onDisk()).isEqualTo(LedgerState.HANDED_OVER);
  }

  @Test
  void aGuestOfWhichNobodyWasToldIsTakenBack() throws Exception {
    try (HandoverWriting handover = new HandoverWriting(ledger)) {
      handover.begin();
    }
    assertThat(onDisk()).isEqualTo(LedgerState.RECLAIMED);
  }

  @Test
  void anInterruptNeitherLosesTheWordNorItself() throws Exception {
    try (HandoverWriting handover = new HandoverWriting(ledger)) {
      handover.begin();
      Thread.currentThread().interrupt();
    }
    assertThat(Thread.interrupted()).isTrue();
    assertThat(onDisk()).isEqualTo(LedgerState.RECLAIMED);
  }

  @Test
  void aGuestThatWasNotGivenAwayStaysAsItIs() throws Exception {
    try (HandoverWriting handover = new HandoverWriting(ledger)) {
      assertThat(handover).isNotNull();
    }
    assertThat(onDisk()).isEqualTo(LedgerState.PAUSED);
  }

  /** What is on disk nobody knows then: COMMIT must not go, and nothing is made up. */
  @Test
  void aLedgerThatCannotBeWrittenSaysSo() throws Exception {
    try (HandoverWriting handover = new HandoverWriting(ledger)) {
      ledger.close();
      handover.begin();
      assertThatThrownBy(handover::await).isInstanceOf(LedgerException.class);
    }
    assertThat(onDisk()).isEqualTo(LedgerState.PAUSED);
  }
}
