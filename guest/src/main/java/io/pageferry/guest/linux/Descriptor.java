package io.pageferry.guest.linux;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * An open file descriptor that closes when its owner has closed it <em>and</em> nobody is in a call
 * on it. Closing under a running call would free the number, the next open anywhere in this process
 * would get it, and that call would read or write the wrong file.
 *
 * <p>Any thread may use and close it.
 */
public final class Descriptor implements AutoCloseable {
  private static final int CLOSED = 1 << 30;

  private final int number;
  private final AtomicInteger uses = new AtomicInteger();

  Descriptor(int number) {
    this.number = number;
  }

  /** Takes ownership of the result of a call, or fails with its errno. */
  static Descriptor of(int result, String call) throws LinuxException {
    return new Descriptor((int) LinuxCalls.check(result, call));
  }

  /**
   * Reserves the number for one call; {@link #release} must follow.
   *
   * @throws IOException if it has been closed
   */
  int acquire() throws IOException {
    while (true) {
      int now = uses.get();
      if ((now & CLOSED) != 0) {
        throw new IOException("closed already");
      }
      if (uses.compareAndSet(now, now + 1)) {
        return number;
      }
    }
  }

  void release() {
    if (uses.decrementAndGet() == CLOSED) {
      LinuxCalls.close(number);
    }
  }

  /**
   * Keeps it open for somebody who waits on it by its number; {@link #letGo} must follow.
   *
   * @throws IOException if it has been closed
   */
  public int hold() throws IOException {
    return acquire();
  }

  /** Undoes one {@link #hold}. */
  public void letGo() {
    release();
  }

  /** Whether it has been closed, or will be when the last call returns. */
  public boolean isClosed() {
    return (uses.get() & CLOSED) != 0;
  }

  @Override
  public void close() {
    while (true) {
      int now = uses.get();
      if ((now & CLOSED) != 0) {
        return;
      }
      if (uses.compareAndSet(now, now | CLOSED)) {
        if (now == 0) {
          LinuxCalls.close(number);
        }
        return;
      }
    }
  }

  @Override
  public String toString() {
    return "descriptor " + number;
  }
}
