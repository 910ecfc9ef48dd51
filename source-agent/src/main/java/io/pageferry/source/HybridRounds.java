package io.pageferry.source;

import io.pageferry.source.Convergence.Decision;
import io.pageferry.source.Convergence.Round;
import io.pageferry.source.Convergence.Verdict;

/**
 * The rule of hybrid mode: a few rounds while the guest runs, as long as each pays, then the
 * switch, whatever is left. A page that is left costs the guest a wait if it is touched too soon;
 * another round costs as much time on the wire as what it sends.
 *
 * <p>Pure arithmetic. Threading: the driver thread only.
 */
final class HybridRounds implements RoundRule {
  /**
   * More rounds than this have never paid: what is left by then is what the guest keeps writing.
   */
  static final int MAX_ROUNDS = 3;

  /** A round that leaves this share of what it sent, or more, has not paid. */
  private static final double PAYS = 0.5;

  /** What the link carries in so short a time is there before the guest has touched much of it. */
  private static final long SOON_NANOS = 50_000_000;

  private final int maxRounds;
  private int rounds;
  private double pagesPerNano;

  /**
   * @param maxRounds the user's own limit
   */
  HybridRounds(int maxRounds) {
    this.maxRounds = Math.min(maxRounds, MAX_ROUNDS);
  }

  @Override
  public Decision after(Round round, long fixedCostNanos) {
    rounds++;
    if (pagesPerNano == 0) {
      pagesPerNano = Math.max(1e-12, (double) round.pages() / Math.max(1, round.nanos()));
    }
    long left = round.lasting();
    if (round.dirtyPages() / pagesPerNano <= SOON_NANOS) {
      return decision(Verdict.SWITCH_OVER, "what is left is sent in no time", fixedCostNanos);
    }
    if (left >= round.concerned() * PAYS) {
      return decision(Verdict.SWITCH_OVER, "another round would not pay", fixedCostNanos);
    }
    if (rounds >= maxRounds) {
      return decision(
          Verdict.SWITCH_OVER,
          "%d %s sent".formatted(rounds, rounds == 1 ? "round was" : "rounds were"),
          fixedCostNanos);
    }
    return decision(Verdict.NEXT_ROUND, "another round pays", fixedCostNanos);
  }

  /** What waits is missing on the other side, as is whatever else is left. */
  @Override
  public long mayWait(long fixedCostNanos) {
    return Long.MAX_VALUE;
  }

  private static Decision decision(Verdict verdict, String reason, long expected) {
    return new Decision(verdict, reason, expected);
  }
}
