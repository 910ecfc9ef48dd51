package io.pageferry.agent.ledger;

import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** A ledger that cannot be read, written, or held; the message is one sentence for the user. */
public final class LedgerException extends IOException {
  private static final long serialVersionUID = 1L;

  /** What is wrong, for code that has to tell the cases apart. */
  public enum Problem {
    /** Another process holds it, so another agent is at work on this migration. */
    HELD,
    /** There is no such ledger. */
    MISSING,
    /** There is one already. */
    EXISTS,
    /** Its content is not what was written. */
    DAMAGED,
    /** The step asked for is none that this state allows. */
    ILLEGAL_STEP,
    /** The file system said no. */
    IO
  }

  private final Problem problem;
  private final transient Path file;

  LedgerException(Problem problem, Path file, String sentence, @Nullable Throwable cause) {
    super(sentence, cause);
    this.problem = problem;
    this.file = file;
  }

  public Problem problem() {
    return problem;
  }

  public Path file() {
    return file;
  }
}
