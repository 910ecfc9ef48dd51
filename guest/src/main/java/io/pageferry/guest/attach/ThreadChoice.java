package io.pageferry.guest.attach;

import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.ProcessStatus;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Which thread of a process to hold: best one that sleeps, whose rest costs the guest nothing and
 * which is in no code of its own; none that sleeps in the kernel for good.
 *
 * @param thread its number
 * @param rank the lower the better
 */
record ThreadChoice(int thread, int rank) {
  private static final int MOST = 4;

  /** System calls that give up when their thread was held, instead of going on. */
  private static final List<Long> BREAK_OFF = breakingOff();

  private static List<Long> breakingOff() {
    return "aarch64".equals(System.getProperty("os.arch"))
        // epoll_pwait, epoll_pwait2, io_getevents, rt_sigtimedwait, semtimedop, semop, msgrcv
        ? List.of(22L, 441L, 4L, 137L, 192L, 193L, 188L)
        // epoll_wait, epoll_pwait, epoll_pwait2, io_getevents, rt_sigtimedwait, semop, semtimedop,
        // msgrcv
        : List.of(232L, 281L, 441L, 208L, 128L, 65L, 220L, 70L);
  }

  /**
   * The best few, best first; empty if there is none.
   *
   * @param withFirst whether the process's first thread may be chosen
   * @param filters whether a thread with a filter of system calls is left out
   */
  static List<ThreadChoice> of(int pid, boolean withFirst, boolean filters) throws IOException {
    List<ThreadChoice> choices = new ArrayList<>();
    try (DirectoryStream<Path> threads =
        Files.newDirectoryStream(Path.of("/proc/" + pid + "/task"))) {
      for (Path each : threads) {
        int thread = Integer.parseInt(String.valueOf(each.getFileName()));
        int rank = thread == pid && !withFirst ? -1 : rank(pid, thread, each, filters);
        if (rank >= 0) {
          choices.add(new ThreadChoice(thread, thread == pid ? rank + 1 : rank));
        }
      }
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
    choices.sort(Comparator.comparingInt(ThreadChoice::rank));
    return choices.subList(0, Math.min(MOST, choices.size()));
  }

  private static int rank(int pid, int thread, Path folder, boolean filters) throws IOException {
    ProcessStatus status;
    try {
      status = ProcessStatus.ofThread(pid, thread);
    } catch (LinuxException e) {
      return -1;
    }
    if (filters && status.filtered() != 0) {
      // Each thread may have a filter of its own, and it could end the process.
      return -1;
    }
    return switch (status.state()) {
      case 'S' -> breaksOff(folder) ? 6 : 0;
      case 'R' -> 2;
      case 'T' -> 4;
      // Asleep in the kernel: often only for a moment.
      case 'D' -> 8;
      default -> -1;
    };
  }

  private static boolean breaksOff(Path folder) {
    try {
      String call = Files.readString(folder.resolve("syscall")).split(" ", 2)[0].strip();
      return !call.equals("running") && BREAK_OFF.contains(Long.parseLong(call));
    } catch (IOException | NumberFormatException e) {
      return false;
    }
  }
}
