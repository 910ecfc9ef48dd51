package io.pageferry.protocol.channel;

import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.BooleanSupplier;

/** Where senders wait until a channel can take more. */
final class WriteGate {
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();

  /**
   * Waits until the condition holds. Whoever makes it true must call {@link #changed()} afterwards.
   */
  void await(BooleanSupplier passable) throws InterruptedException {
    if (passable.getAsBoolean()) {
      return;
    }
    lock.lockInterruptibly();
    try {
      while (!passable.getAsBoolean()) {
        changed.await();
      }
    } finally {
      lock.unlock();
    }
  }

  void changed() {
    lock.lock();
    try {
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }
}
