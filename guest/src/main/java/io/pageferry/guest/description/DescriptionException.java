package io.pageferry.guest.description;

import java.io.IOException;
import java.nio.file.Path;

/**
 * A guest description that cannot be used. The message is one sentence that names the file, the
 * line where there is one, and what is wrong; it can be put before a user as it is.
 */
public final class DescriptionException extends IOException {
  private static final long serialVersionUID = 1L;

  private final int line;

  DescriptionException(Path file, int line, String sentence) {
    super(file + (line > 0 ? ":" + line : "") + ": " + sentence);
    this.line = line;
  }

  DescriptionException(Path file, String sentence, Throwable cause) {
    super(file + ": " + sentence, cause);
    this.line = 0;
  }

  /** The line in the file, from 1; 0 when the fault is of no single line. */
  public int line() {
    return line;
  }
}
