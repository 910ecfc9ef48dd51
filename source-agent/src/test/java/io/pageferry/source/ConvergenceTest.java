package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.source.Convergence.Limits;
import io.pageferry.source.Convergence.Round;
import io.pageferry.source.Convergence.Verdict;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class ConvergenceTest {
  private static final long PAGES = 131_072;
  private static final long MEMORY = PAGES * 4096;
  private static final long FIXED = TimeUnit.MILLISECONDS.toNanos(10);
  private static final Limits LIMITS =
      new Limits(30, 3.0, 50, TimeUnit.MILLISECONDS.toNanos(300), MEMORY);

  /** A link of 1 GB/s. */
  private static Round round(long pages, long dirty) {
    return new Round(pages, pages * 4096, pages * 4096, dirty);
  }

  @Test
  void roundsGoOnWhileEachHalvesWhatIsLeft() {
    Convergence convergence = new Convergence(LIMITS);
    assertThat(convergence.after(round(PAGES, 2600), FIXED).verdict())
        .isEqualTo(Verdict.NEXT_ROUND);
    assertThat(convergence.after(round(2600, 300), FIXED).verdict()).isEqualTo(Verdict.NEXT_ROUND);
    Convergence.Decision last = convergence.after(round(300, 40), FIXED);
    assertThat(last.verdict()).isEqualTo(Verdict.SWITCH_OVER);
    assertThat(last.expectedDowntimeNanos()).isBetween(FIXED, FIXED + 1_000_000);
  }

  @Test
  void aRoundThatNoLongerPaysIsNotSentWhenTheRestFits() {
    Convergence convergence = new Convergence(LIMITS);
    convergence.after(round(PAGES, 4000), FIXED);
    assertThat(convergence.after(round(4000, 3900), FIXED).verdict())
        .isEqualTo(Verdict.SWITCH_OVER);
  }

  @Test
  void theFixedCostCountsAgainstTheDowntimeLimit() {
    Round round = round(PAGES, 0);
    assertThat(new Convergence(LIMITS).after(round, FIXED).verdict())
        .isEqualTo(Verdict.SWITCH_OVER);
    assertThat(new Convergence(LIMITS).after(round, TimeUnit.MILLISECONDS.toNanos(301)).verdict())
        .isEqualTo(Verdict.OVER_LIMIT);
  }

  @Test
  void aLimitThatTheFixedCostAloneExceedsIsNotAStall() {
    long fixed = TimeUnit.MILLISECONDS.toNanos(400);
    Convergence convergence = new Convergence(LIMITS);
    assertThat(convergence.after(round(PAGES, 2600), fixed).verdict())
        .isEqualTo(Verdict.NEXT_ROUND);
    Convergence.Decision last = convergence.after(round(2600, 28), fixed);
    assertThat(last.verdict()).isEqualTo(Verdict.OVER_LIMIT);
    assertThat(last.reason()).contains("400 ms");
  }

  @Test
  void aGuestThatDirtiesTooFastStallsWhateverTheFixedCost() {
    long fixed = TimeUnit.MILLISECONDS.toNanos(301);
    Convergence convergence = new Convergence(LIMITS);
    Verdict verdict;
    do {
      verdict = convergence.after(round(PAGES, PAGES * 9 / 10), fixed).verdict();
    } while (verdict == Verdict.NEXT_ROUND);
    assertThat(verdict).isEqualTo(Verdict.STALLED);
  }

  @Test
  void aGuestThatDirtiesAsFastAsTheLinkCarriesStalls() {
    Convergence convergence = new Convergence(LIMITS);
    int rounds = 1;
    while (convergence.after(round(PAGES / 4 * 3, PAGES / 4 * 3), FIXED).verdict()
        == Verdict.NEXT_ROUND) {
      rounds++;
    }
    assertThat(rounds).isLessThanOrEqualTo(Convergence.FRUITLESS_ROUNDS + 1);
    assertThat(convergence.after(round(PAGES, PAGES), FIXED).verdict()).isEqualTo(Verdict.STALLED);
  }

  @Test
  void theNumberOfRoundsIsBounded() {
    Convergence convergence =
        new Convergence(new Limits(4, 100, 0, TimeUnit.MILLISECONDS.toNanos(1), MEMORY));
    long left = PAGES;
    for (int i = 0; i < 3; i++) {
      long next = left * 4 / 5;
      assertThat(convergence.after(round(left, next), FIXED).verdict())
          .isEqualTo(Verdict.NEXT_ROUND);
      left = next;
    }
    assertThat(convergence.after(round(left, left * 4 / 5), FIXED).verdict())
        .isEqualTo(Verdict.STALLED);
  }

  @Test
  void whatIsSentIsBoundedByAMultipleOfTheMemory() {
    Convergence convergence =
        new Convergence(new Limits(1000, 1.5, 0, TimeUnit.MILLISECONDS.toNanos(20), MEMORY));
    assertThat(convergence.after(round(PAGES, PAGES * 4 / 5), FIXED).verdict())
        .isEqualTo(Verdict.NEXT_ROUND);
    assertThat(convergence.after(round(PAGES * 4 / 5, PAGES * 3 / 5), FIXED).verdict())
        .isEqualTo(Verdict.STALLED);
  }

  @Test
  void zeroPagesSayNothingAboutTheLink() {
    Convergence convergence = new Convergence(LIMITS);
    convergence.after(new Round(PAGES, 2000, 50_000_000, PAGES / 4), FIXED);
    convergence.after(round(PAGES / 4, PAGES / 10), FIXED);
    assertThat(convergence.bandwidth()).isBetween(900_000_000L, 1_100_000_000L);
  }

  /**
   * A round of short pages is over too soon to say how fast the link is, and yet says how short.
   */
  @Test
  void pagesThatAreSentAgainMayBeShorterThanThoseOfTheFirstRound() {
    Convergence convergence = new Convergence(LIMITS);
    convergence.after(round(PAGES, PAGES / 2), FIXED);
    long wire = 2_000_000;
    Convergence.Decision decision =
        convergence.after(new Round(PAGES / 2, wire, 10_000_000, PAGES / 4), FIXED);
    assertThat(convergence.bandwidth()).isBetween(900_000_000L, 1_100_000_000L);
    assertThat(decision.expectedDowntimeNanos()).isBetween(FIXED + wire / 3, FIXED + wire);
  }

  @Test
  void asManyMayWaitAsFitThePauseWhereRoundsDoNotBecomeShort() {
    Convergence convergence = new Convergence(LIMITS);
    convergence.after(round(PAGES, 70_000), FIXED);
    convergence.after(round(70_000, 69_000), FIXED);
    assertThat(convergence.mayWait(FIXED)).as("deltas are not known yet").isZero();
    convergence.after(round(69_000, 72_500), FIXED);
    // 290 ms at 1 GB/s.
    assertThat(convergence.mayWait(FIXED)).isBetween(70_000L, 71_000L);
    assertThat(convergence.mayWait(LIMITS.downtimeNanos() + 1)).isZero();

    convergence.after(round(68_900, 30_000), FIXED);
    assertThat(convergence.mayWait(FIXED)).isZero();
  }

  @Test
  void nothingWaitsWhereDifferencesAreShort() {
    Convergence convergence = new Convergence(LIMITS);
    convergence.after(round(PAGES, 70_000), FIXED);
    convergence.after(round(70_000, 70_000), FIXED);
    convergence.after(new Round(70_000, 70_000 * 400, 70_000 * 400, 69_000), FIXED);
    assertThat(convergence.mayWait(FIXED)).isZero();
  }

  @Test
  void nothingWaitsThatWouldOnlyThenNotFitThePause() {
    Convergence convergence = new Convergence(LIMITS);
    convergence.after(round(PAGES, 120_000), FIXED);
    convergence.after(round(120_000, 120_000), FIXED);
    convergence.after(new Round(120_000, 120_000 * 2600L, 120_000 * 2600L, 116_000), FIXED);
    assertThat(convergence.mayWait(FIXED)).isZero();
  }

  @Test
  void enoughIsSentToTellWhatTheLinkCarries() {
    Convergence convergence = new Convergence(LIMITS);
    convergence.after(round(PAGES, 7000), FIXED);
    convergence.after(round(7000, 7000), FIXED);
    convergence.after(round(7000, 7000), FIXED);
    assertThat(convergence.mayWait(FIXED)).isEqualTo(7000 - 1024);
  }

  @Test
  void whatWaitsIsExpectedToGoWhole() {
    Convergence waiting = new Convergence(LIMITS);
    Convergence usual = new Convergence(LIMITS);
    long whole = TimeUnit.MICROSECONDS.toNanos(4096);
    waiting.after(round(PAGES, 70_000), FIXED);
    usual.after(round(PAGES, 70_000), FIXED);
    long expected =
        waiting
            .after(new Round(5000, 5000 * 400, 5000 * 400, 3000, 1000, 0), FIXED)
            .expectedDowntimeNanos();
    assertThat(expected).isEqualTo(FIXED + 2000 * 400 + whole);
    assertThat(expected)
        .isGreaterThan(
            usual
                .after(new Round(5000, 5000 * 400, 5000 * 400, 3000), FIXED)
                .expectedDowntimeNanos());
  }

  @Test
  void whatWaitedInVainIsAReasonForAnotherRound() {
    Convergence convergence = new Convergence(LIMITS);
    convergence.after(round(PAGES, 90_000), FIXED);
    convergence.after(round(90_000, 80_000), FIXED);
    // Fits the pause, and nine of ten would not be there had they been sent.
    assertThat(
            convergence
                .after(
                    new Round(20_000, 20_000 * 4096L, 20_000 * 4096L, 60_000, 60_000, 54_000),
                    FIXED)
                .verdict())
        .isEqualTo(Verdict.NEXT_ROUND);
  }

  /** Those of the next rounds go whole: nobody knows yet what they take. */
  @Test
  void pagesThatWentInPartSayNothingOfTheOthers() {
    Convergence convergence = new Convergence(LIMITS);
    Convergence.Round inPart =
        new Convergence.Round(8000, 8000 * 600L, 384_000_000, 4500, 0, 0, 0, 0);
    long expected = convergence.after(inPart, 0).expectedDowntimeNanos();
    assertThat(expected).isGreaterThan(TimeUnit.MILLISECONDS.toNanos(1400));
  }
}
