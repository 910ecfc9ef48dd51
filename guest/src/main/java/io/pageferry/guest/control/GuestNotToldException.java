package io.pageferry.guest.control;

/** The guest could not be reached, and nothing of what it was to be told went out to it. */
public final class GuestNotToldException extends GuestControlException {
  private static final long serialVersionUID = 1L;

  GuestNotToldException(String sentence, Throwable cause) {
    super(sentence, cause);
  }
}
