package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A thread of another process that this thread traces, as a debugger does.
 *
 * <p>Belongs to the platform thread that seized it: the kernel takes no request from another one,
 * and lets the traced thread go when that thread ends. That is the only way to let go of one that
 * does not stop.
 *
 * <p>The first thread of a child of this process must not be traced: the JVM waits for its children
 * and would take the stop for the child's end.
 */
public final class TracedThread {
  private final int thread;
  private final MemorySegment status = Arena.ofAuto().allocate(JAVA_INT);
  private final MemorySegment vector = Arena.ofAuto().allocate(Abi.IOVEC_BYTES, 8);

  private TracedThread(int thread) {
    this.thread = thread;
  }

  /**
   * Begins to trace a thread, which runs on.
   *
   * @throws LinuxException ESRCH if there is no such thread, EPERM without the right or if somebody
   *     else traces it
   */
  public static TracedThread seize(int thread) throws LinuxException {
    TracedThread traced = new TracedThread(thread);
    traced.request(Abi.PTRACE_SEIZE, "PTRACE_SEIZE", 0, 0);
    return traced;
  }

  /** Asks it to stop; {@link #poll} says when it does. */
  public void interrupt() throws LinuxException {
    request(Abi.PTRACE_INTERRUPT, "PTRACE_INTERRUPT", 0, 0);
  }

  /** What has become of it since it was last let run; null if it runs. Does not wait. */
  public @Nullable ThreadStop poll() throws LinuxException {
    int found = LinuxCalls.waitpid(thread, status, Abi.WALL | Abi.WNOHANG);
    LinuxCalls.check(found, "waitpid " + thread);
    return found == 0 ? null : new ThreadStop(status.get(JAVA_INT, 0));
  }

  /**
   * Reads its general registers.
   *
   * @return how many bytes there are; another number than of {@link CallRegisters} for a program of
   *     another word size
   */
  public int readRegisters(MemorySegment into) throws LinuxException {
    vector.set(ADDRESS, 0, into);
    vector.set(JAVA_LONG, Abi.IOVEC_LEN, into.byteSize());
    request(Abi.PTRACE_GETREGSET, "PTRACE_GETREGSET", Abi.NT_PRSTATUS, vector.address());
    return (int) vector.get(JAVA_LONG, Abi.IOVEC_LEN);
  }

  public void writeRegisters(MemorySegment from) throws LinuxException {
    vector.set(ADDRESS, 0, from);
    vector.set(JAVA_LONG, Abi.IOVEC_LEN, from.byteSize());
    request(Abi.PTRACE_SETREGSET, "PTRACE_SETREGSET", Abi.NT_PRSTATUS, vector.address());
  }

  /** Lets it run one instruction; the signal that was about to be delivered is dropped. */
  public void step() throws LinuxException {
    request(Abi.PTRACE_SINGLESTEP, "PTRACE_SINGLESTEP", 0, 0);
  }

  /**
   * Lets it run.
   *
   * @param signal the one that was about to be delivered, so that it is; 0 for none
   */
  public void resume(int signal) throws LinuxException {
    request(Abi.PTRACE_CONT, "PTRACE_CONT", 0, signal);
  }

  /**
   * Lets go of it where it stands still, and it runs on, unless its whole process is stopped.
   *
   * @param signal as for {@link #resume}
   */
  public void detach(int signal) throws LinuxException {
    request(Abi.PTRACE_DETACH, "PTRACE_DETACH", 0, signal);
  }

  private void request(int request, String name, long address, long data) throws LinuxException {
    LinuxCalls.check(LinuxCalls.ptrace(request, thread, address, data), name + " " + thread);
  }

  @Override
  public String toString() {
    return "thread " + thread;
  }
}
