package io.pageferry.guest.linux;

/**
 * Why a traced thread stands still, or that it has ended.
 *
 * @param status as waitpid gives it
 */
public record ThreadStop(int status) {
  /** Whether the thread does not stand still but is gone. */
  public boolean ended() {
    return (status & 0xff) != 0x7f;
  }

  /**
   * Whether it stands still because it was asked to, or because its whole process does. Otherwise a
   * signal is about to be delivered to it.
   */
  public boolean asked() {
    return status >>> 16 == Abi.PTRACE_EVENT_STOP;
  }

  /** The signal that is about to be delivered, or that stopped the process. */
  public int signal() {
    return (status >>> 8) & 0xff;
  }

  /** Whether this is the report of a single step, or looks like it. */
  public boolean stepped() {
    return !asked() && signal() == Abi.SIGTRAP;
  }

  /** Whether a filter of system calls has caught one. */
  public boolean caughtByFilter() {
    return !asked() && signal() == Abi.SIGSYS;
  }
}
