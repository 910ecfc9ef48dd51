package io.pageferry.target.reception;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class SpareTimeTest {
  private static final int MOST = 4;
  private static final int FRAME = 64;
  private static final int CHANNELS = 2;
  private static final long LONG = SpareTime.WAITING_NANOS * CHANNELS;

  private final SpareTime time = new SpareTime(CHANNELS, MOST);
  private long now;

  /** So many frames, each of whose pages was waited for and then landed for so long. */
  private void frames(int count, long waitNanos, long workNanos) {
    for (int i = 0; i < count; i++) {
      now += waitNanos * FRAME;
      time.begins(now);
      now += workNanos * FRAME;
      time.landed(now, FRAME);
    }
  }

  private void offer(boolean wanted) {
    time.begins(now);
    time.answered(now, wanted);
  }

  private void settled(long waitNanos) {
    offer(false);
    frames(8, waitNanos, 1000);
  }

  @Test
  void pagesThatAreWaitedForAreHashed() {
    offer(false);
    assertThat(time.suffices()).as("nothing is known yet").isFalse();
    frames(5, LONG, 1000);
    assertThat(time.suffices()).isTrue();
  }

  @Test
  void pagesThatComeFastAreNot() {
    settled(LONG - 1000);
    assertThat(time.suffices()).isFalse();
  }

  @Test
  void aTargetThatIsBusyIsNotGivenMoreToDo() {
    offer(false);
    frames(40, 1000, 10 * LONG);
    assertThat(time.suffices()).isFalse();
  }

  @Test
  void aSourceThatNeverOffersIsNotRemembered() {
    frames(40, LONG, 1000);
    assertThat(time.suffices()).isFalse();
    offer(false);
    assertThat(time.suffices()).isTrue();
  }

  @Test
  void theLinkMayChange() {
    settled(LONG);
    frames(4, 1000, 1000);
    assertThat(time.suffices()).isFalse();
    frames(4, LONG, 1000);
    assertThat(time.suffices()).isTrue();
  }

  @Test
  void whatWasOfferedIsNotHashedTwice() {
    settled(LONG);
    offer(true);
    offer(true);
    assertThat(time.suffices()).isFalse();
    frames(1, LONG, 1000);
    assertThat(time.suffices()).as("the second of them may come").isFalse();
    frames(1, LONG, 1000);
    assertThat(time.suffices()).isTrue();
    offer(false);
    assertThat(time.suffices()).as("all of it was found").isTrue();
  }

  @Test
  void whatNeverComesIsNotWaitedForForEver() {
    settled(LONG);
    for (int i = 0; i < 100; i++) {
      offer(true);
    }
    frames(MOST - 1, LONG, 1000);
    assertThat(time.suffices()).isFalse();
    frames(1, LONG, 1000);
    assertThat(time.suffices()).isTrue();
  }
}
