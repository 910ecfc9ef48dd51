package io.pageferry.source;

import io.pageferry.protocol.message.MigrationMode;

/** Decides after each round whether another one is sent. */
interface RoundRule {
  /** The one of the user's mode and limits. */
  static RoundRule of(MigrationSettings settings, long memoryBytes) {
    if (settings.mode() == MigrationMode.HYBRID) {
      return new HybridRounds(settings.maxRounds());
    }
    return new Convergence(
        new Convergence.Limits(
            settings.maxRounds(),
            settings.maxSentRatio(),
            settings.dirtyThreshold(),
            settings.downtimeLimit().toNanos(),
            memoryBytes));
  }

  /**
   * What to do after this round.
   *
   * @param fixedCostNanos what a switchover costs besides its pages
   */
  Convergence.Decision after(Convergence.Round round, long fixedCostNanos);

  /**
   * How many pages that the guest keeps writing the next round may leave for later, once {@link
   * #after} has spoken for one.
   *
   * @param fixedCostNanos as before
   */
  long mayWait(long fixedCostNanos);
}
