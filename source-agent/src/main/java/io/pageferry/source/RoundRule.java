package io.pageferry.source;

/** Decides after each round whether another one is sent. */
interface RoundRule {
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
