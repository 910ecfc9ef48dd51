package io.pageferry.protocol.message;

/** What the target's ledger says of a migration. The codes are the wire's; 0 is never valid. */
public enum OwnershipState {
  /** The ledger has never heard of it. */
  UNKNOWN(1),
  /** Pages are landing; the guest here cannot run yet. */
  RECEIVING(2),
  /** All is here; the guest may be started as soon as the source commits. */
  PREPARED(3),
  /** On disk: the guest belongs to the target. It has not been started yet, as far as is known. */
  TAKEN_OVER(4),
  /** On disk: the guest will never run here by this migration. */
  ABANDONED(5),
  /** On disk: the guest belongs to the target, and some of its pages are still at the source. */
  FETCHING(6),
  /** On disk: the guest belongs to the target, has been started there, and nothing is missing. */
  RUNNING(7);

  private final int code;

  OwnershipState(int code) {
    this.code = code;
  }

  /** The number on the wire. */
  public int code() {
    return code;
  }

  /**
   * The state with this number.
   *
   * @throws IllegalArgumentException if there is none
   */
  public static OwnershipState of(int code) {
    for (OwnershipState state : values()) {
      if (state.code == code) {
        return state;
      }
    }
    throw new IllegalArgumentException("ownership state " + code);
  }
}
