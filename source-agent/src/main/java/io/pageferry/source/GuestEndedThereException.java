package io.pageferry.source;

import java.io.IOException;

/** The guest's process on the target ended in post-copy: nobody waits for its pages any more. */
final class GuestEndedThereException extends IOException {
  private static final long serialVersionUID = 1L;

  GuestEndedThereException(String sentence, Throwable cause) {
    super(sentence, cause);
  }
}
