package io.pageferry.source;

/** Decides after each round whether another one is sent. */
interface RoundRule {
  /**
   * What to do after this round.
   *
   * @param fixedCostNanos what a switchover costs besides its pages
   */
  Convergence.Decision after(Convergence.Round round, long fixedCostNanos);
}
