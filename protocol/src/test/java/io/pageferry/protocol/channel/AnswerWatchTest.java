package io.pageferry.protocol.channel;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.channel.SelectStrategy;
import io.netty.util.IntSupplier;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** When an event loop may fall asleep. */
@NullMarked
@Timeout(180)
final class AnswerWatchTest {
  private static final IntSupplier NOTHING = () -> 0;

  private final AnswerWatch watch = new AnswerWatch();

  @Test
  void theLoopSleepsWhereNothingWasAsked() throws Exception {
    assertThat(watch.calculateStrategy(NOTHING, false)).isEqualTo(SelectStrategy.SELECT);
    assertThat(watch.calculateStrategy(NOTHING, true)).isZero();
  }

  @Test
  void itStaysAwakeUntilTheAnswerCame() throws Exception {
    for (int i = 0; i < 1000; i++) {
      watch.asked();
      watch.answered();
      assertThat(watch.calculateStrategy(NOTHING, false)).isEqualTo(SelectStrategy.SELECT);
    }
    watch.asked();
    assertThat(watch.calculateStrategy(() -> 7, false)).isEqualTo(7);
  }

  @Test
  void anAnswerThatIsNotNearIsNotWaitedForAndSoonNotEvenTried() throws Exception {
    int tried = 0;
    for (int question = 0; question < 200; question++) {
      watch.asked();
      boolean awake = false;
      while (watch.calculateStrategy(NOTHING, false) != SelectStrategy.SELECT) {
        awake = true;
      }
      tried += awake ? 1 : 0;
    }
    assertThat(tried).isLessThan(10);
  }
}
