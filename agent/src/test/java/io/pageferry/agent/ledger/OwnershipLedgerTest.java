package io.pageferry.agent.ledger;

import static io.pageferry.agent.ledger.LedgerState.COMPLETED;
import static io.pageferry.agent.ledger.LedgerState.FAILED;
import static io.pageferry.agent.ledger.LedgerState.HANDED_OVER;
import static io.pageferry.agent.ledger.LedgerState.PAUSED;
import static io.pageferry.agent.ledger.LedgerState.PLANNED;
import static io.pageferry.agent.ledger.LedgerState.RECLAIMED;
import static io.pageferry.agent.ledger.LedgerState.STREAMING;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pageferry.agent.ledger.LedgerException.Problem;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(180)
class OwnershipLedgerTest {
  private static final LedgerFields FIELDS =
      LedgerFields.of("demo guest", "host:7420")
          .withDescription("/etc/pageferry/demo.yaml")
          .withImages(List.of("/dev/shm/demo/ram"))
          .with("qmp", "/run/demo/qmp.sock");

  @TempDir Path state;
  private final UUID migration = UUID.randomUUID();

  private OwnershipLedger create() throws LedgerException {
    return OwnershipLedger.create(state, LedgerSide.SOURCE, migration, FIELDS);
  }

  private LedgerException openFails() {
    return catchThrowableOfType(
        LedgerException.class, () -> OwnershipLedger.open(state, LedgerSide.SOURCE, migration));
  }

  @Test
  void whatWasRecordedIsReadByTheNextHolder() throws Exception {
    try (OwnershipLedger ledger = create()) {
      ledger.record(STREAMING);
      ledger.record(PAUSED, FIELDS.with("round", "7"));
      ledger.record(HANDED_OVER);
    }
    try (OwnershipLedger ledger = OwnershipLedger.open(state, LedgerSide.SOURCE, migration)) {
      assertThat(ledger.current()).isEqualTo(HANDED_OVER);
      assertThat(ledger.fields()).isEqualTo(FIELDS.with("round", "7"));
      ledger.record(COMPLETED);
    }
    LedgerEntry entry = OwnershipLedger.read(state, LedgerSide.SOURCE, migration);
    assertThat(entry.state()).isEqualTo(COMPLETED);
    assertThat(entry.held()).isFalse();
  }

  @Test
  void onlyTheNewestOfTheSettledLedgersAreKept() throws Exception {
    LedgerSide side = LedgerSide.SOURCE;
    UUID held = UUID.randomUUID();
    UUID open = UUID.randomUUID();
    UUID unreleased = UUID.randomUUID();
    UUID oldest = UUID.randomUUID();
    UUID damaged = UUID.randomUUID();
    try (OwnershipLedger holding = OwnershipLedger.create(state, side, held, FIELDS)) {
      holding.record(FAILED);
      OwnershipLedger.create(state, side, open, FIELDS).close();
      try (OwnershipLedger moved = OwnershipLedger.create(state, side, unreleased, FIELDS)) {
        moved.record(PAUSED);
        moved.record(HANDED_OVER);
        moved.record(COMPLETED);
      }
      Files.writeString(state.resolve("source/" + damaged + ".ledger"), "nonsense");
      end(oldest);
      for (int i = 1; i < OwnershipLedger.KEPT; i++) {
        end(UUID.randomUUID());
      }
      create().close();
      assertThat(OwnershipLedger.read(state, side, oldest).settled()).isTrue();
      end(UUID.randomUUID());
      OwnershipLedger.create(state, side, UUID.randomUUID(), FIELDS).close();
      assertThatThrownBy(() -> OwnershipLedger.read(state, side, oldest))
          .hasMessageContaining("there is no ledger");
      LedgerListing listing = OwnershipLedger.list(state, side);
      assertThat(listing.entries().stream().filter(each -> each.settled() && !each.held()))
          .hasSize(OwnershipLedger.KEPT);
      assertThat(listing.entries())
          .extracting(LedgerEntry::migration)
          .contains(held, open, unreleased, migration);
      assertThat(listing.unreadable()).hasSize(1);
    }
  }

  private void end(UUID id) throws LedgerException {
    try (OwnershipLedger ledger = OwnershipLedger.create(state, LedgerSide.SOURCE, id, FIELDS)) {
      ledger.record(FAILED);
    }
  }

  @Test
  void aLedgerIsPrivateAndSaysWhatItSaysToAReaderToo() throws Exception {
    try (OwnershipLedger ledger = create()) {
      ledger.record(STREAMING);
      assertThat(ledger.file()).isEqualTo(state.resolve("source/" + migration + ".ledger"));
      assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(ledger.file())))
          .isEqualTo("rw-------");
      String text = Files.readString(ledger.file(), StandardCharsets.UTF_8);
      assertThat(text).startsWith("1 PLANNED ").contains("\"guest\":\"demo guest\"");
      assertThat(text).containsPattern("\n\0+2 STREAMING \\S+Z - [0-9a-f]{8}\n");
    }
  }

  @Test
  void aStepThatTheStateDoesNotAllowIsRefusedAndWritesNothing() throws Exception {
    try (OwnershipLedger ledger = create()) {
      ledger.record(STREAMING);
      ledger.record(PAUSED);
      ledger.record(HANDED_OVER);
      assertThatThrownBy(() -> ledger.record(FAILED))
          .isInstanceOf(LedgerException.class)
          .hasMessageContaining("is HANDED_OVER and cannot become FAILED");
      assertThat(ledger.current()).isEqualTo(HANDED_OVER);
      ledger.record(RECLAIMED);
      ledger.record(FAILED);
      assertThatThrownBy(() -> ledger.record(STREAMING)).isInstanceOf(LedgerException.class);
    }
  }

  @Test
  void aLedgerHasOneHolderInThisProcess() throws Exception {
    try (OwnershipLedger ledger = create()) {
      assertThat(openFails().problem()).isEqualTo(Problem.HELD);
      // Looking at it must not cost the holder its lock.
      assertThat(OwnershipLedger.list(state, LedgerSide.SOURCE).entries())
          .singleElement()
          .satisfies(entry -> assertThat(entry.held()).isTrue());
      assertThat(openFails().problem()).isEqualTo(Problem.HELD);
      ledger.record(STREAMING);
    }
    OwnershipLedger.open(state, LedgerSide.SOURCE, migration).close();
  }

  @Test
  void aLedgerHasOneHolderAmongProcesses() throws Exception {
    Process other = WriterProcess.start(state, "hold", migration.toString());
    try (BufferedReader out =
        new BufferedReader(new InputStreamReader(other.getInputStream(), StandardCharsets.UTF_8))) {
      assertThat(out.readLine()).isEqualTo("held");
      assertThat(OwnershipLedger.read(state, LedgerSide.SOURCE, migration).held()).isTrue();
      assertThat(openFails())
          .hasMessageContaining("another agent is at work")
          .returns(Problem.HELD, LedgerException::problem);
    } finally {
      other.destroyForcibly().waitFor();
    }
    // The lock ends with the process, however it ended.
    assertThat(OwnershipLedger.read(state, LedgerSide.SOURCE, migration).held()).isFalse();
    OwnershipLedger.open(state, LedgerSide.SOURCE, migration).close();
  }

  @Test
  void aMigrationHasOneLedger() throws Exception {
    create().close();
    assertThatThrownBy(this::create)
        .isInstanceOfSatisfying(
            LedgerException.class, e -> assertThat(e.problem()).isEqualTo(Problem.EXISTS));
    try (var files = Files.list(state.resolve("source"))) {
      assertThat(files).hasSize(1);
    }
  }

  @Test
  void anUnknownMigrationIsMissingAndAnEmptyStateDirectoryHasNone() throws Exception {
    assertThat(openFails().problem()).isEqualTo(Problem.MISSING);
    assertThat(OwnershipLedger.list(state.resolve("none"), LedgerSide.TARGET).entries()).isEmpty();
  }

  @Test
  void anInterruptedThreadCanStillRecord() throws Exception {
    try (OwnershipLedger ledger = create()) {
      Thread.currentThread().interrupt();
      ledger.record(FAILED);
      assertThat(Thread.interrupted()).isTrue();
    }
    assertThat(OwnershipLedger.read(state, LedgerSide.SOURCE, migration).state()).isEqualTo(FAILED);
  }

  @Test
  void aLedgerMayOutgrowItsPreallocation() throws Exception {
    try (OwnershipLedger ledger = create()) {
      for (int i = 0; i < 40; i++) {
        ledger.record(STREAMING, FIELDS.with("long", "x".repeat(i * 20)));
        ledger.record(PAUSED);
      }
    }
    assertThat(OwnershipLedger.read(state, LedgerSide.SOURCE, migration).state()).isEqualTo(PAUSED);
  }

  @Test
  void aDamagedLedgerIsNamedAndTheOthersAreListed() throws Exception {
    create().close();
    Files.writeString(state.resolve("source/" + migration + ".ledger"), "nonsense\n");
    UUID good = UUID.randomUUID();
    OwnershipLedger.create(state, LedgerSide.SOURCE, good, FIELDS).close();

    LedgerListing listing = OwnershipLedger.list(state, LedgerSide.SOURCE);

    assertThat(listing.entries()).extracting(LedgerEntry::migration).containsExactly(good);
    assertThat(listing.entries()).extracting(LedgerEntry::state).containsExactly(PLANNED);
    assertThat(listing.unreadable())
        .singleElement()
        .satisfies(
            e -> {
              assertThat(e.problem()).isEqualTo(Problem.DAMAGED);
              assertThat(e).hasMessageContaining(migration.toString());
            });
  }
}
