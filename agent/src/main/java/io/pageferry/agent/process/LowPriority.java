package io.pageferry.agent.process;

import io.pageferry.guest.linux.ThreadPriority;
import java.util.concurrent.ThreadFactory;

/**
 * Threads that take what processor time others leave, for what need not be done now and nobody
 * waits for. Threads and processes that they start are like them.
 */
public final class LowPriority {
  private LowPriority() {}

  /**
   * A factory of such threads.
   *
   * @param name of each
   */
  public static ThreadFactory threads(String name) {
    return task ->
        Thread.ofPlatform()
            .daemon()
            .name(name)
            .unstarted(
                () -> {
                  ThreadPriority.last();
                  task.run();
                });
  }
}
