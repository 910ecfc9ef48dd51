package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class LinkTrialTest {
  private static final long EXABYTE = 1L << 60;

  @Test
  void whatIsKnownBeforehandNeedsNoTrial() {
    LinkTrial trial = new LinkTrial(1, true);
    trial.sent(EXABYTE);
    assertThat(trial.outcome()).isEqualTo(LinkTrial.Outcome.SLOW);
  }

  @Test
  void aFewBytesSayNothing() {
    LinkTrial trial = new LinkTrial(1, false);
    trial.begin();
    trial.sent((1 << 20) - 1);
    assertThat(trial.outcome()).isEqualTo(LinkTrial.Outcome.OPEN);
  }

  @Test
  void manyBytesTellASlowLinkFromAFastOne() {
    LinkTrial fast = new LinkTrial(1, false);
    fast.begin();
    fast.sent(32 << 20);
    assertThat(fast.outcome()).isEqualTo(LinkTrial.Outcome.FAST);
    LinkTrial slow = new LinkTrial(Long.MAX_VALUE, false);
    slow.begin();
    slow.sent(32 << 20);
    assertThat(slow.outcome()).isEqualTo(LinkTrial.Outcome.SLOW);
    slow.sent(EXABYTE);
    assertThat(slow.outcome()).as("it is not asked again").isEqualTo(LinkTrial.Outcome.SLOW);
  }
}
