package io.pageferry.agent.ledger;

import java.nio.file.Path;

/** Which side of a migration a ledger belongs to; a host may have both. */
public enum LedgerSide {
  SOURCE("source", LedgerState.PLANNED),
  TARGET("target", LedgerState.RECEIVING);

  private final String folder;
  private final LedgerState first;

  LedgerSide(String folder, LedgerState first) {
    this.folder = folder;
    this.first = first;
  }

  /** The folder of this side's ledgers below the agent's state directory. */
  public Path folder(Path stateDirectory) {
    return stateDirectory.resolve(folder);
  }

  /** The state that every ledger of this side begins with. */
  public LedgerState first() {
    return first;
  }
}
