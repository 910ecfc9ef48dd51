package io.pageferry.guest.control;

/** The guest was reached and said no; the way to it is fine. */
public class GuestRefusedException extends GuestControlException {
  private static final long serialVersionUID = 1L;

  GuestRefusedException(String sentence) {
    super(sentence);
  }

  /** Whether this guest does not know the command at all. */
  public boolean commandUnknown() {
    return false;
  }
}
