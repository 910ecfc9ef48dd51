package io.pageferry.agent.ledger;

import java.util.List;

/**
 * All ledgers of one side.
 *
 * @param entries those that could be read, oldest first
 * @param unreadable one failure for each that could not: what it says is unknown, and so is who
 *     owns that guest
 */
public record LedgerListing(List<LedgerEntry> entries, List<LedgerException> unreadable) {
  public LedgerListing {
    entries = List.copyOf(entries);
    unreadable = List.copyOf(unreadable);
  }
}
