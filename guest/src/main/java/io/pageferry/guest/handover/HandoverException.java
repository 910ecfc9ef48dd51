package io.pageferry.guest.handover;

import java.io.IOException;

/** A handover that did not come about. The message is one sentence. */
public final class HandoverException extends IOException {
  private static final long serialVersionUID = 1L;

  /** What was wrong with it. */
  public enum Problem {
    /** Nobody connected in time. */
    NOBODY_CAME,
    /** Somebody connected and sent nothing, or closed before. */
    EMPTY,
    /** The message ends in its middle. */
    TRUNCATED,
    /** It is not a list of memory regions. */
    MALFORMED,
    /** It is longer than any guest's can be. */
    TOO_LARGE,
    /** No descriptor came with it. */
    NO_DESCRIPTOR,
    /** More than one descriptor came with it. */
    SEVERAL_DESCRIPTORS,
    /** An address, size or offset is not a multiple of the page size. */
    UNALIGNED,
    /** Two regions overlap. */
    OVERLAPPING,
    /** The process that sent it cannot be seen or has ended. */
    NO_PROCESS
  }

  private final Problem problem;

  HandoverException(Problem problem, String sentence) {
    super(sentence);
    this.problem = problem;
  }

  HandoverException(Problem problem, String sentence, Throwable cause) {
    super(sentence, cause);
    this.problem = problem;
  }

  public Problem problem() {
    return problem;
  }
}
