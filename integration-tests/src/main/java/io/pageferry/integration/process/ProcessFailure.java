package io.pageferry.integration.process;

import java.io.IOException;

/**
 * A process that did not do what was expected of it; the message ends with what it had written
 * until then.
 */
public final class ProcessFailure extends IOException {
  private static final long serialVersionUID = 1L;

  /** A failure with its sentence. */
  public ProcessFailure(String sentence) {
    super(sentence);
  }
}
