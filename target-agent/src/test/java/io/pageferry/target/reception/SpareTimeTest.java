package io.pageferry.target.reception;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class SpareTimeTest {
  private static final int MOST = 4;
  private static final int FRAME = 64;
  private static final long SLOW = SpareTime.SLOW_PAGE_NANOS;

  private final SpareTime time = new SpareTime(MOST, 0);
  private long now;

  private void frames(int count, long pageNanos) {
    for (int i = 0; i < count; i++) {
      now += pageNanos * FRAME;
      time.landed(now, FRAME, false);
    }
  }

  private void offer() {
    time.landed(now, 0, true);
  }

  @Test
  void pagesThatComeSlowlyAreHashed() {
    assertThat(time.suffices()).as("nothing is known yet").isFalse();
    frames(4, SLOW);
    assertThat(time.suffices()).isTrue();
  }

  @Test
  void pagesThatComeFastAreNot() {
    frames(1000, SLOW - 1);
    assertThat(time.suffices()).isFalse();
  }

  @Test
  void theLinkMayChange() {
    frames(40, SLOW);
    frames(4, 1000);
    assertThat(time.suffices()).isFalse();
    frames(4, SLOW);
    assertThat(time.suffices()).isTrue();
  }

  @Test
  void whatWasOfferedIsNotHashedTwice() {
    frames(40, SLOW);
    offer();
    offer();
    assertThat(time.suffices()).isFalse();
    frames(1, SLOW);
    assertThat(time.suffices()).as("the second of them may come").isFalse();
    frames(1, SLOW);
    assertThat(time.suffices()).isTrue();
  }

  @Test
  void whatWasFoundIsNotWaitedForForEver() {
    frames(40, SLOW);
    for (int i = 0; i < 100; i++) {
      offer();
    }
    frames(MOST - 1, SLOW);
    assertThat(time.suffices()).isFalse();
    frames(1, SLOW);
    assertThat(time.suffices()).isTrue();
  }
}
