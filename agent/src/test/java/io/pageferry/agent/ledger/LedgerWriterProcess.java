package io.pageferry.agent.ledger;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;

/** Writes ledgers without end and says what is on disk, or holds one, until it is killed. */
final class LedgerWriterProcess {
  private static final List<LedgerState> SOURCE =
      List.of(
          LedgerState.STREAMING,
          LedgerState.PAUSED,
          LedgerState.STREAMING,
          LedgerState.PAUSED,
          LedgerState.HANDED_OVER,
          LedgerState.RECLAIMED,
          LedgerState.FAILED);
  private static final List<LedgerState> TARGET =
      List.of(LedgerState.PREPARED, LedgerState.TAKEN_OVER, LedgerState.COMPLETED);

  private LedgerWriterProcess() {}

  public static void main(String[] args) throws Exception {
    Path state = Path.of(args[0]);
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    if (args.length > 1 && args[1].equals("hold")) {
      hold(state, UUID.fromString(args[2]), out);
      return;
    }
    for (int i = 0; ; i++) {
      LedgerSide side = i % 2 == 0 ? LedgerSide.SOURCE : LedgerSide.TARGET;
      UUID migration = UUID.randomUUID();
      LedgerFields fields = LedgerFields.of("guest " + i, "peer");
      try (OwnershipLedger ledger = OwnershipLedger.create(state, side, migration, fields)) {
        out.println(side + " " + migration + " 1 " + side.first());
        int sequence = 1;
        for (LedgerState next : side == LedgerSide.SOURCE ? SOURCE : TARGET) {
          // Every second one carries fields of more than a sector, which can be torn.
          if (sequence % 2 == 0) {
            ledger.record(next, fields.with("long", "x".repeat(3000 + i)));
            sequence += 2;
          } else {
            ledger.record(next);
            sequence++;
          }
          out.println(side + " " + migration + " " + sequence + " " + next);
        }
      }
    }
  }

  private static void hold(Path state, UUID migration, PrintStream out) throws Exception {
    LedgerFields fields = LedgerFields.of("guest", "peer");
    try (OwnershipLedger ledger =
        OwnershipLedger.create(state, LedgerSide.SOURCE, migration, fields)) {
      ledger.record(LedgerState.STREAMING);
      out.println("held");
      Thread.currentThread().join();
    }
  }
}
