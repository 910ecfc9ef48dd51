package io.pageferry.protocol.message;

/** How the memory moves. The codes are the wire's; 0 is never valid. */
public enum MigrationMode {
  /** In rounds while the guest runs, then a short pause for the rest. */
  PRECOPY(1),
  /** Everything in one round while the guest is paused. */
  STOP_AND_COPY(2),
  /**
   * The guest moves first, its pages follow as they are touched; needs the post-copy capability.
   */
  POSTCOPY(3),
  /** Some rounds, then post-copy for the rest; needs the post-copy capability. */
  HYBRID(4);

  private final int code;

  MigrationMode(int code) {
    this.code = code;
  }

  /** The number on the wire. */
  public int code() {
    return code;
  }

  /**
   * The mode with this number.
   *
   * @throws IllegalArgumentException if there is none
   */
  public static MigrationMode of(int code) {
    for (MigrationMode mode : values()) {
      if (mode.code == code) {
        return mode;
      }
    }
    throw new IllegalArgumentException("migration mode " + code);
  }
}
