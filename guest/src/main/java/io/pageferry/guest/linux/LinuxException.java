package io.pageferry.guest.linux;

import java.io.IOException;

/** A system call that failed. */
public final class LinuxException extends IOException {
  private static final long serialVersionUID = 1L;

  private final int errno;
  private final String call;

  LinuxException(int errno, String call) {
    super(call + ": " + Errno.describe(errno));
    this.errno = errno;
    this.call = call;
  }

  /** The error number; see {@link Errno}. */
  public int errno() {
    return errno;
  }

  /** What failed, for a log: the system call and what it was about. */
  public String call() {
    return call;
  }

  /** The reason without the call, in words, to be put after a colon. */
  public String reason() {
    return Errno.describe(errno);
  }
}
