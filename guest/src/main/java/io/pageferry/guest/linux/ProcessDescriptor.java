package io.pageferry.guest.linux;

import java.io.IOException;

/**
 * A handle on one process that stays the same process's when its number is given to another.
 *
 * <p>Any thread may use it.
 */
public final class ProcessDescriptor implements AutoCloseable {
  private final Descriptor descriptor;

  private ProcessDescriptor(Descriptor descriptor) {
    this.descriptor = descriptor;
  }

  /**
   * Takes hold of a running process.
   *
   * @throws LinuxException ESRCH if there is none of this number
   */
  public static ProcessDescriptor of(int pid) throws LinuxException {
    return new ProcessDescriptor(Descriptor.of(LinuxCalls.pidfdOpen(pid), "pidfd_open " + pid));
  }

  /** Whether it has ended, be it reaped or not. */
  public boolean hasEnded() throws IOException {
    return Readiness.await(descriptor, Abi.POLLIN, 0) != 0;
  }

  /**
   * Copies a descriptor of that process into this one; needs the right to trace it.
   *
   * @throws LinuxException EPERM without the right, EBADF if the process has no such descriptor
   */
  public Descriptor copyOf(int number) throws IOException {
    int own = descriptor.acquire();
    try {
      return Descriptor.of(LinuxCalls.pidfdGetfd(own, number), "pidfd_getfd " + number);
    } finally {
      descriptor.release();
    }
  }

  @Override
  public void close() {
    descriptor.close();
  }
}
