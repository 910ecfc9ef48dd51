package io.pageferry.guest.units;

/**
 * A size, rate or duration that cannot be read. The message is one sentence that quotes what was
 * written and shows how to write it; it can be put before a user as it is.
 */
public final class UnitFormatException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  UnitFormatException(String sentence) {
    super(sentence);
  }
}
