package io.pageferry.protocol.message;

/**
 * Whether the source would like to be able to end a migration by post-copy. The codes are the
 * wire's; 0 is never valid.
 */
public enum PostcopyWish {
  /** It never will: the target need not make ready for it. */
  NO(1),
  /** It would use it if the target can; otherwise it goes on without. */
  IF_POSSIBLE(2),
  /** Without it there is no migration: the target accepts with a fault channel or refuses. */
  REQUIRED(3);

  private final int code;

  PostcopyWish(int code) {
    this.code = code;
  }

  /** The number on the wire. */
  public int code() {
    return code;
  }

  /**
   * The wish with this number.
   *
   * @throws IllegalArgumentException if there is none
   */
  public static PostcopyWish of(int code) {
    for (PostcopyWish wish : values()) {
      if (wish.code == code) {
        return wish;
      }
    }
    throw new IllegalArgumentException("post-copy wish " + code);
  }
}
