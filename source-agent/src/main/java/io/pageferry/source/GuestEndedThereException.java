package io.pageferry.source;

import java.io.IOException;

/** The guest's process on the target ended in post-copy: nobody waits for its pages any more. */
final class GuestEndedThereException extends IOException {
  private static final long serialVersionUID = 1L;

  private final boolean knownToHaveRun;

  /**
   * @param knownToHaveRun whether the target says that it ran there; where it does not, it may have
   */
  GuestEndedThereException(String sentence, Throwable cause, boolean knownToHaveRun) {
    super(sentence, cause);
    this.knownToHaveRun = knownToHaveRun;
  }

  boolean knownToHaveRun() {
    return knownToHaveRun;
  }
}
