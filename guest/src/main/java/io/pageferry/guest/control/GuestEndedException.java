package io.pageferry.guest.control;

/** The guest's process has ended, as the one who controls it says. */
final class GuestEndedException extends GuestControlException {
  private static final long serialVersionUID = 1L;

  GuestEndedException(String sentence) {
    super(sentence);
  }
}
