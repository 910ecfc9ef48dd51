package io.pageferry.protocol.message;

/** What comparing two digests of an image came to. The codes are the wire's; 0 is never valid. */
public enum Comparison {
  /** Both sides have the same image. */
  EQUAL(1),
  /** They do not: a page was damaged or lost. */
  DIFFERENT(2),
  /** This side cannot say: it was restarted, and with it the running digest began anew. */
  UNKNOWN(3);

  private final int code;

  Comparison(int code) {
    this.code = code;
  }

  /** The number on the wire. */
  public int code() {
    return code;
  }

  /**
   * The comparison with this number.
   *
   * @throws IllegalArgumentException if there is none
   */
  public static Comparison of(int code) {
    for (Comparison comparison : values()) {
      if (comparison.code == code) {
        return comparison;
      }
    }
    throw new IllegalArgumentException("comparison " + code);
  }
}
