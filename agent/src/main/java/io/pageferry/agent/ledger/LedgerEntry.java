package io.pageferry.agent.ledger;

import java.nio.file.Path;
import java.time.Instant;
import java.util.UUID;

/**
 * One ledger as it was when it was read.
 *
 * @param held whether an agent, this or another one, is at work on it right now
 */
public record LedgerEntry(
    Path file,
    LedgerSide side,
    UUID migration,
    LedgerState state,
    Instant since,
    LedgerFields fields,
    boolean held) {

  /** Whether it tells of a guest that runs on this host while its source still has pages of it. */
  public boolean lacksPages() {
    return side == LedgerSide.TARGET
        && state == LedgerState.TAKEN_OVER
        && fields.isSet(LedgerFields.POSTCOPY)
        && !fields.isSet(LedgerFields.FETCHED);
  }

  /**
   * Whether nothing is left to decide and nothing to do: what was abandoned on the target is
   * removed, and a source whose guest has moved has let go of the copy that was left behind.
   */
  public boolean settled() {
    return switch (state) {
      case FAILED -> true;
      case ABANDONED -> fields.isSet(LedgerFields.CLEANED);
      case COMPLETED -> side == LedgerSide.TARGET || fields.isSet(LedgerFields.RELEASED);
      case PLANNED,
          STREAMING,
          PAUSED,
          HANDED_OVER,
          SERVING,
          RECLAIMED,
          RECEIVING,
          PREPARED,
          TAKEN_OVER ->
          false;
    };
  }
}
