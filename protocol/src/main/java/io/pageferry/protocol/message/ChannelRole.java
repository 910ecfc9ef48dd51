package io.pageferry.protocol.message;

/** What a connection is for. The codes are the wire's; 0 is never valid. */
public enum ChannelRole {
  /** Decisions: one a migration. */
  CONTROL(1),
  /** Bulk pages: up to 16 a migration, joined by token. */
  DATA(2),
  /** Page requests and urgent pages in post-copy: at most one a migration, joined by token. */
  FAULT(3);

  private final int code;

  ChannelRole(int code) {
    this.code = code;
  }

  /** The number on the wire. */
  public int code() {
    return code;
  }

  /**
   * The role with this number.
   *
   * @throws IllegalArgumentException if there is none
   */
  public static ChannelRole of(int code) {
    for (ChannelRole role : values()) {
      if (role.code == code) {
        return role;
      }
    }
    throw new IllegalArgumentException("channel role " + code);
  }
}
