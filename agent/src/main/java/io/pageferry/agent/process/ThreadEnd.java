package io.pageferry.agent.process;

/** Waits for threads that use something which is about to be closed. */
public final class ThreadEnd {
  private ThreadEnd() {}

  /**
   * Returns when the thread does not run, also if this one is interrupted meanwhile, which it then
   * still is.
   *
   * @param thread started or not
   */
  public static void await(Thread thread) {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
