package io.pageferry.guest.attach;

import java.io.IOException;

/**
 * An attach that did not come about. The guest's process runs on, or stays stopped, exactly as it
 * was. The message is one sentence with what to do.
 */
public final class AttachException extends IOException {
  private static final long serialVersionUID = 1L;

  /** Why not. */
  public enum Problem {
    /** The process has ended, or never was. */
    NO_PROCESS,
    /** No process has the image mapped, or none that can be seen from here. */
    NOBODY_MAPS,
    /**
     * More than one process has the image mapped, or one has it mapped in a way we cannot follow.
     */
    MAPPING,
    /** The image is not the process's memory, or not all of it, or its writes do not reach it. */
    FOREIGN,
    /** Not allowed to trace it. */
    NOT_PERMITTED,
    /** A debugger or the like traces it already. */
    TRACED,
    /** Its system calls are filtered, or the filter has refused this one. */
    FILTERED,
    /** Its own rights do not suffice for the system call. */
    CALL_REFUSED,
    /** It is a program of another kind than this machine's 64-bit ones. */
    OTHER_MACHINE,
    /** None of its threads could be stopped in time. */
    NOT_STOPPED,
    /** Its memory is watched by somebody else. */
    WATCHED,
    /** The descriptor that an earlier attach had left is not there. */
    NOTHING_LEFT,
    /** This kernel cannot do it. */
    KERNEL
  }

  private final Problem problem;

  AttachException(Problem problem, String sentence) {
    super(sentence);
    this.problem = problem;
  }

  AttachException(Problem problem, String sentence, Throwable cause) {
    super(sentence, cause);
    this.problem = problem;
  }

  public Problem problem() {
    return problem;
  }
}
