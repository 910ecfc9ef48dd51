package io.pageferry.guest.control;

/** The guest answered a QMP command with an error; the connection is fine. */
public final class QmpErrorException extends GuestRefusedException {
  private static final long serialVersionUID = 1L;

  private final String errorClass;

  QmpErrorException(String command, String errorClass, String description) {
    super("the guest refused '" + command + "': " + description);
    this.errorClass = errorClass;
  }

  /** QMP's error class: {@code GenericError}, {@code CommandNotFound}, … */
  public String errorClass() {
    return errorClass;
  }

  @Override
  public boolean commandUnknown() {
    return errorClass.equals("CommandNotFound");
  }
}
