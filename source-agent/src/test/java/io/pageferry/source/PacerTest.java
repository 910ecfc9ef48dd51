package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.time.Duration;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(180)
class PacerTest {

  @Test
  void slotsFollowOneAnotherAtTheRate() {
    Pacer pacer = new Pacer(1_000_000);
    long now = System.nanoTime() + TimeUnit.SECONDS.toNanos(1);
    long first = pacer.book(now, 1000);
    assertThat(pacer.book(now, 1000) - first).isEqualTo(1_000_000);
    assertThat(pacer.book(now, 500) - first).isEqualTo(2_000_000);
    assertThat(pacer.book(now, 1) - first).isEqualTo(2_500_000);
  }

  @Test
  void aCapOfMoreThanAHundredMegabitIsNotSlowAndNoneIsNot() {
    assertThat(Pacer.isSlow(12_500_000)).isTrue();
    assertThat(Pacer.isSlow(15_000_000)).isTrue();
    assertThat(Pacer.isSlow(15_000_001)).isFalse();
    assertThat(Pacer.isSlow(0)).isFalse();
  }

  @Test
  void anIdleTimeIsNotMadeUpForBeyondTheBurst() {
    Pacer pacer = new Pacer(1_000_000);
    long now = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
    assertThat(pacer.book(now, 1000)).isEqualTo(now - Pacer.BURST_NANOS);
  }

  /** Whatever was idle before: a second has the cap and two per cent, on a clock of the test's. */
  @ParameterizedTest
  @ValueSource(longs = {20_000_000, 125_000_000, 2_000_000_000})
  void noSecondHasMoreThanTheCapAndALittle(long rate) {
    Pacer pacer = new Pacer(rate);
    long begin = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
    long end = begin + TimeUnit.SECONDS.toNanos(1);
    long sent = 0;
    for (long now = begin; now < end; now = Math.max(now, pacer.book(now, 262_144))) {
      sent += 262_144;
    }
    // The last of them begins behind the second.
    assertThat(sent - 262_144).isBetween(rate, rate + rate / 50);
  }

  /** As a page sender beside two busy agents: what it loses now it makes up for soon. */
  @ParameterizedTest
  @ValueSource(longs = {24, 25, 26})
  void aFastLineMakesUpForStallsOfMilliseconds(long seed) {
    Random random = new Random(seed);
    long rate = 125_000_000;
    Pacer pacer = new Pacer(rate);
    long begin = System.nanoTime() + TimeUnit.SECONDS.toNanos(1);
    long end = begin + TimeUnit.SECONDS.toNanos(1);
    long sent = 0;
    for (long now = begin; now < end; ) {
      long slot = pacer.book(now, 262_144);
      sent += 262_144;
      long stall = random.nextInt(20) == 0 ? 8_000_000 + random.nextLong(6_000_000) : 0;
      now = Math.max(now, slot) + stall;
    }
    assertThat((double) sent).isCloseTo((double) rate, within(0.02 * rate));
  }

  /** A sender that the scheduler wakes up to 4 ms late, on a clock of the test's own. */
  @ParameterizedTest
  @ValueSource(longs = {21, 22, 23})
  void lateWakeUpsAreMadeUpForWithinTheSecond(long seed) {
    Random random = new Random(seed);
    long rate = 100_000_000;
    Pacer pacer = new Pacer(rate);
    long begin = System.nanoTime() + TimeUnit.SECONDS.toNanos(1);
    long end = begin + TimeUnit.SECONDS.toNanos(1);
    long sent = 0;
    for (long now = begin; now < end; ) {
      long slot = pacer.book(now, 262_144);
      sent += 262_144;
      now = Math.max(now, slot) + random.nextLong(4_000_000);
    }
    assertThat((double) sent).isCloseTo((double) rate, within(0.02 * rate));
  }

  @Test
  void aSecondOfSendingStaysBelowTheCap() throws InterruptedException {
    long rate = 100_000_000;
    Pacer pacer = new Pacer(rate);
    long begin = System.nanoTime();
    long sent = 0;
    while (System.nanoTime() - begin < TimeUnit.SECONDS.toNanos(1)) {
      pacer.await(262_144);
      sent += 262_144;
    }
    double seconds = (System.nanoTime() - begin) / 1e9;
    assertThat(sent / seconds).isLessThan(1.02 * rate);
  }

  @Test
  void withoutACapNothingWaits() throws InterruptedException {
    Pacer pacer = new Pacer(0);
    for (int i = 0; i < 1_000_000; i++) {
      pacer.await(Integer.MAX_VALUE);
    }
  }

  @Test
  void waitingEndsWhenTheMigrationIsCancelled() throws InterruptedException {
    Pacer pacer = new Pacer(1);
    pacer.await(1_000_000);
    Thread waiting = Thread.currentThread();
    Thread.ofVirtual()
        .start(
            () -> {
              while (waiting.getState() != Thread.State.TIMED_WAITING) {
                Thread.onSpinWait();
              }
              waiting.interrupt();
            });
    assertThatThrownBy(() -> pacer.await(1)).isInstanceOf(InterruptedException.class);
    assertThat(Duration.ofNanos(pacer.book(System.nanoTime(), 1) - System.nanoTime()))
        .isGreaterThan(Duration.ofHours(1));
  }
}
