package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class SlidingRateTest {
  private static final long TENTH = 100_000_000;

  @Test
  void onlyTheLastTwoSecondsCount() {
    SlidingRate rate = new SlidingRate();
    long count = 0;
    rate.add(0, 0);
    assertThat(rate.perSecond()).isZero();
    for (int i = 1; i <= 10; i++) {
      count += 1_000_000;
      rate.add(i * TENTH, count);
    }
    assertThat(rate.perSecond()).isEqualTo(10_000_000);
    for (int i = 11; i <= 30; i++) {
      count += 100;
      rate.add(i * TENTH, count);
    }
    assertThat(rate.perSecond()).isEqualTo(1000);
  }
}
