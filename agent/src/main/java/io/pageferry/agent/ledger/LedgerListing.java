package io.pageferry.agent.ledger;

import java.time.Instant;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.UUID;

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

  /**
   * Whether another migration of a guest has come to one of these states since then.
   *
   * @param own the one that is not meant
   * @param guest known by its images, or by its name where it has none
   */
  public boolean tellsOf(UUID own, LedgerFields guest, Instant since, Set<LedgerState> states) {
    return entries.stream()
        .filter(entry -> !entry.migration().equals(own))
        .filter(entry -> states.contains(entry.state()) && !entry.since().isBefore(since))
        .anyMatch(entry -> isSame(entry.fields(), guest));
  }

  private static boolean isSame(LedgerFields one, LedgerFields other) {
    boolean named = one.images().isEmpty() || other.images().isEmpty();
    return named
        ? one.guest().equals(other.guest())
        : !Collections.disjoint(one.images(), other.images());
  }
}
