package io.pageferry.agent.cli;

/** What a command's exit code says about the guest. */
public enum ExitCode {
  /** Done. */
  DONE(0),
  /** Failed; the guest, where there is one, still runs on the source. */
  FAILED(1),
  /** Wrong usage; nothing was done. */
  USAGE(2),
  /** Refused before anything changed; the guest runs on the source. */
  REFUSED(3),
  /** Cancelled; the guest still runs on the source. */
  CANCELLED(4),
  /** The guest is paused and can be recovered; the message says with which command. */
  RECOVERABLE(5);

  private final int code;

  ExitCode(int code) {
    this.code = code;
  }

  public int code() {
    return code;
  }
}
