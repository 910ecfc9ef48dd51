package io.pageferry.guest.control;

import java.io.IOException;

/**
 * The guest could not be steered: it cannot be reached, did not answer in time, refused a command
 * or ended. The message is one sentence that can be put before a user as it is.
 */
public class GuestControlException extends IOException {
  private static final long serialVersionUID = 1L;

  public GuestControlException(String sentence) {
    super(sentence);
  }

  public GuestControlException(String sentence, Throwable cause) {
    super(sentence, cause);
  }
}
