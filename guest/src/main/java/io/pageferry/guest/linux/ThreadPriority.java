package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * How soon the kernel runs the calling thread; see sched(7). Running first needs CAP_SYS_NICE or a
 * limit of real-time priority (RLIMIT_RTPRIO) above 0.
 */
public final class ThreadPriority {
  /** The lowest that is real-time: before every ordinary thread, after whatever else is urgent. */
  private static final int LOWEST_REAL_TIME = 1;

  /** A tenth of what an ordinary thread gets beside it, so that nothing waits for it for long. */
  private static final int NICER = 10;

  private ThreadPriority() {}

  /**
   * The calling thread runs before every ordinary one whenever it has something to do. Threads that
   * it starts do not.
   *
   * @throws LinuxException EPERM without the right to; the thread takes its turns as before
   */
  public static void first() throws LinuxException {
    LinuxCalls.check(
        schedule(Abi.SCHED_FIFO | Abi.SCHED_RESET_ON_FORK, LOWEST_REAL_TIME), "sched_setscheduler");
  }

  /**
   * The calling thread gets little while ordinary ones have something to do; for the rest of its
   * life, because to take it back is a privilege.
   */
  public static void last() {
    LinuxCalls.nice(NICER);
  }

  /** The calling thread takes its turns with the others. */
  public static void inTurn() {
    // Threads that it starts are nobody's concern now, but taking the flag back is a privilege.
    schedule(Abi.SCHED_OTHER | Abi.SCHED_RESET_ON_FORK, 0);
  }

  private static int schedule(int policy, int priority) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment parameter = arena.allocate(Abi.SCHED_PARAM_BYTES);
      parameter.set(JAVA_INT, 0, priority);
      return LinuxCalls.schedSetscheduler(policy, parameter);
    }
  }
}
