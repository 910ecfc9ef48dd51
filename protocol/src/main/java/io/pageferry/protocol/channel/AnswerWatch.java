package io.pageferry.protocol.channel;

import io.netty.channel.SelectStrategy;
import io.netty.util.IntSupplier;

/**
 * Keeps one event loop from going to sleep while an answer is due any moment: falling asleep and
 * being woken takes about as long as the answer. While it looks for the answer it runs its tasks.
 *
 * <p>Bounded three times: it looks for {@link #LIMIT_NANOS} at most; it goes to sleep at once where
 * others want the processor and get it (they do not while a {@link ThreadUrgency} holds), and does
 * not begin where there is only one; and where that or a slow answer is usual, it is tried less and
 * less often.
 *
 * <p>Owned by the thread of its event loop.
 */
final class AnswerWatch implements SelectStrategy {
  /** About twice what a near peer takes to answer. */
  static final long LIMIT_NANOS = 200_000;

  /** A loop that looks again only after so long was made to wait for the processor. */
  private static final long CROWDED_NANOS = 50_000;

  /** The most questions, as a power of two, for which it is not tried again. */
  private static final int MAX_MISSES = 6;

  private static final boolean ALONE = Runtime.getRuntime().availableProcessors() == 1;

  private boolean watching;
  private long since;
  private long looked;
  private boolean lookedBefore;
  private int misses;
  private int leftOut;

  /** Something was asked; the answer comes by this loop. */
  void asked() {
    if (ALONE) {
      // The answer may have to be made by this very processor.
      return;
    }
    if (leftOut > 0) {
      leftOut--;
      return;
    }
    watching = true;
    since = System.nanoTime();
    lookedBefore = false;
  }

  /** Something came that may be the answer. */
  void answered() {
    if (watching) {
      watching = false;
      misses = 0;
    }
  }

  @Override
  public int calculateStrategy(IntSupplier lookNow, boolean hasTasks) throws Exception {
    if (hasTasks) {
      return lookNow.get();
    }
    if (!watching) {
      return SELECT;
    }
    // Without giving way: to Linux that is a promise to want nothing for whole turns to come.
    Thread.onSpinWait();
    long now = System.nanoTime();
    boolean crowded = lookedBefore && now - looked > CROWDED_NANOS;
    if (crowded || now - since > LIMIT_NANOS) {
      giveUp();
    }
    looked = now;
    lookedBefore = true;
    return lookNow.get();
  }

  private void giveUp() {
    watching = false;
    misses = Math.min(misses + 1, MAX_MISSES);
    leftOut = (1 << misses) - 1;
  }
}
