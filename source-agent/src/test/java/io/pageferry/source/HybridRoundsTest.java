package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.source.Convergence.Round;
import io.pageferry.source.Convergence.Verdict;
import org.junit.jupiter.api.Test;

class HybridRoundsTest {
  private static final long PAGES = 1_310_720;

  /** A link of 1 GB/s. */
  private static Round round(long pages, long dirty) {
    return new Round(pages, pages * 4096, pages * 4096, dirty);
  }

  @Test
  void aRoundThatHalvesWhatIsLeftIsFollowedByAnother() {
    HybridRounds rounds = new HybridRounds(30);
    assertThat(rounds.after(round(PAGES, PAGES / 4), 0).verdict()).isEqualTo(Verdict.NEXT_ROUND);
    assertThat(rounds.after(round(PAGES / 4, PAGES / 16), 0).verdict())
        .isEqualTo(Verdict.NEXT_ROUND);
    assertThat(rounds.after(round(PAGES / 16, PAGES / 64), 0).verdict())
        .isEqualTo(Verdict.SWITCH_OVER);
  }

  @Test
  void aRoundThatDoesNotPayIsTheLast() {
    assertThat(new HybridRounds(30).after(round(PAGES, PAGES / 2), 0).verdict())
        .isEqualTo(Verdict.SWITCH_OVER);
  }

  @Test
  void littleIsNotWorthARound() {
    assertThat(new HybridRounds(30).after(round(PAGES, 10_000), 0).verdict())
        .isEqualTo(Verdict.SWITCH_OVER);
  }

  @Test
  void theUserMayWantFewerRounds() {
    assertThat(new HybridRounds(1).after(round(PAGES, PAGES / 4), 0).verdict())
        .isEqualTo(Verdict.SWITCH_OVER);
  }
}
