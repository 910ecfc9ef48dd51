package io.pageferry.guest.dirty;

import java.io.IOException;

/** The guest's process ended, or no longer has the memory that is being followed. */
public final class GuestGoneException extends IOException {
  private static final long serialVersionUID = 1L;

  public GuestGoneException(String sentence) {
    super(sentence);
  }

  public GuestGoneException(String sentence, Throwable cause) {
    super(sentence, cause);
  }
}
