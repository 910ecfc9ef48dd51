package io.pageferry.guest.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Whether this process may run a thread first is the kernel's to say; both answers are right. */
@Timeout(60)
class ThreadPriorityTest {
  @Test
  void aThreadRunsFirstUntilItTakesItsTurnsAgain() throws Exception {
    onAThread(
        () -> {
          assertThat(policy()).isEqualTo(Abi.SCHED_OTHER);
          if (allowed()) {
            assertThat(policy()).isEqualTo(Abi.SCHED_FIFO);
            assertThat(onAThread(ThreadPriorityTest::policy)).isEqualTo(Abi.SCHED_OTHER);
          }
          ThreadPriority.inTurn();
          return assertThat(policy()).isEqualTo(Abi.SCHED_OTHER);
        });
  }

  @Test
  void aThreadRunsLastAndNoOtherDoes() throws Exception {
    int usual = nice();
    onAThread(
        () -> {
          ThreadPriority.last();
          return assertThat(nice()).isEqualTo(Math.min(usual + 10, 19));
        });
    assertThat(nice()).isEqualTo(usual);
  }

  private static boolean allowed() {
    try {
      ThreadPriority.first();
      return true;
    } catch (LinuxException e) {
      assertThat(e.errno()).isEqualTo(Errno.EPERM);
      return false;
    }
  }

  private static int policy() throws Exception {
    return field(41);
  }

  private static int nice() throws Exception {
    return field(19);
  }

  /** Of proc_pid_stat(5), of the calling thread. */
  private static int field(int number) throws Exception {
    String stat = Files.readString(Path.of("/proc/thread-self/stat"));
    String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1);
    return Integer.parseInt(fields[number - 3]);
  }

  private static <T> T onAThread(Callable<T> task) throws Exception {
    FutureTask<T> running = new FutureTask<>(task);
    Thread.ofPlatform().start(running);
    return running.get(30, TimeUnit.SECONDS);
  }
}
