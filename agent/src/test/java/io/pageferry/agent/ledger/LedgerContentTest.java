package io.pageferry.agent.ledger;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Arrays;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What a power cut or a bad disk leaves behind. */
@Timeout(180)
class LedgerContentTest {
  private static final LedgerFields LONG =
      LedgerFields.of("guest", "peer").with("long", "x".repeat(1800));

  @TempDir Path state;
  private Path file = Path.of("unset");
  private byte[] before = {};
  private byte[] after = {};

  /** STREAMING is on disk; then PAUSED with long fields is added: a record of several sectors. */
  @BeforeEach
  void write() throws Exception {
    try (OwnershipLedger ledger =
        OwnershipLedger.create(
            state, LedgerSide.SOURCE, UUID.randomUUID(), LedgerFields.of("guest", "peer"))) {
      file = ledger.file();
      ledger.record(LedgerState.STREAMING);
      before = Files.readAllBytes(file);
      ledger.record(LedgerState.PAUSED, LONG);
      after = Files.readAllBytes(file);
    }
  }

  private LedgerContent parse(byte[] bytes) throws LedgerException {
    return LedgerContent.parse(file, LedgerSide.SOURCE, bytes);
  }

  @Test
  void whicheverSectorsOfAnUnfinishedWriteReachedTheDiskNoStateIsInvented() throws Exception {
    int from = parse(before).end();
    int sectors = (parse(after).end() - from) / LedgerContent.SECTOR;
    assertThat(sectors).isGreaterThan(3);
    for (int reached = 0; reached < 1 << sectors; reached++) {
      byte[] disk = before.clone();
      for (int sector = 0; sector < sectors; sector++) {
        if (((reached >> sector) & 1) == 1) {
          int at = from + sector * LedgerContent.SECTOR;
          System.arraycopy(after, at, disk, at, LedgerContent.SECTOR);
        }
      }
      boolean whole = reached == (1 << sectors) - 1;
      boolean fieldsOnly = reached == (1 << (sectors - 1)) - 1;
      boolean stateOnDisk = ((reached >> (sectors - 1)) & 1) == 1;
      if (stateOnDisk && !whole) {
        // The state without what belongs before it: refused, not guessed.
        assertThatThrownBy(() -> parse(disk)).isInstanceOf(LedgerException.class);
      } else {
        LedgerContent content = parse(disk);
        assertThat(content.state()).isEqualTo(whole ? LedgerState.PAUSED : LedgerState.STREAMING);
        assertThat(content.fields().more().containsKey("long")).isEqualTo(whole || fieldsOnly);
      }
    }
  }

  @Test
  void aChangeOfStateAloneFitsInOneSector() {
    for (LedgerState each : LedgerState.values()) {
      byte[] line = new LedgerRecord(Long.MAX_VALUE, each, Instant.now(), null).encode();
      assertThat(line.length).isLessThan(LedgerContent.SECTOR);
    }
  }

  @Test
  void oneMutatedByteIsNeverTakenForAnotherState() throws Exception {
    Random random = new Random(5);
    int end = parse(after).end();
    for (int i = 0; i < end; i++) {
      byte[] bad = after.clone();
      bad[i] ^= (byte) (1 + random.nextInt(255));
      try {
        LedgerContent content = parse(bad);
        // Only padding may change unnoticed.
        assertThat(after[i]).isZero();
        assertThat(content.state()).isEqualTo(LedgerState.PAUSED);
      } catch (LedgerException e) {
        assertThat(e.problem()).isEqualTo(LedgerException.Problem.DAMAGED);
      }
    }
  }

  @Test
  void theLastStateDamagedInItsSectorIsNotTakenForTheOneBefore() throws Exception {
    byte[] bad = after.clone();
    bad[parse(after).end() - LedgerContent.SECTOR + 3] ^= 1;
    assertThatThrownBy(() -> parse(bad))
        .isInstanceOf(LedgerException.class)
        .hasMessageContaining("is damaged at byte");
  }

  @Test
  void noCutInventsAState() throws Exception {
    int wholeSectors = 0;
    for (int length = 0; length <= after.length; length++) {
      byte[] cut = Arrays.copyOf(after, length);
      try {
        assertThat(parse(cut).state())
            .isIn(LedgerState.PLANNED, LedgerState.STREAMING, LedgerState.PAUSED);
        wholeSectors += length % LedgerContent.SECTOR == 0 ? 1 : 0;
      } catch (LedgerException e) {
        assertThat(e.problem()).isEqualTo(LedgerException.Problem.DAMAGED);
        // Between sectors a cut is what a crash can leave; only nothing at all is refused there.
        assertThat(length % LedgerContent.SECTOR != 0 || length == 0).isTrue();
      }
    }
    assertThat(wholeSectors).isEqualTo(after.length / LedgerContent.SECTOR);
  }

  @Test
  void garbageIsDamage() {
    Random random = new Random(9);
    for (int i = 0; i < 500; i++) {
      byte[] garbage = new byte[random.nextInt(5000)];
      random.nextBytes(garbage);
      assertThatThrownBy(() -> parse(garbage)).isInstanceOf(LedgerException.class);
    }
  }

  @FuzzTest(maxDuration = "20s")
  void anyBytesAreReadOrRefused(byte[] disk) {
    for (LedgerSide side : LedgerSide.values()) {
      try {
        LedgerContent content = LedgerContent.parse(file, side, disk);
        assertThat(content.sequence()).isPositive();
        assertThat(content.end()).isBetween(1, LedgerContent.paddedLength(disk.length));
      } catch (LedgerException e) {
        assertThat(e.problem()).isEqualTo(LedgerException.Problem.DAMAGED);
        assertThat(e.getMessage()).contains(file.toString());
      }
    }
  }
}
