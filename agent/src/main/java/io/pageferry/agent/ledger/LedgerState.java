package io.pageferry.agent.ledger;

/**
 * Where one migration stands on one side. The names are written to disk: they never change.
 *
 * <pre>
 * source:  PLANNED -> STREAMING <-> PAUSED -> HANDED_OVER -> SERVING -> COMPLETED
 *             |           |           |           |  |                     |
 *             |           |           |           |  +---------------------+
 *             +-----------+-----------+-> FAILED <-- RECLAIMED <-- SERVING
 *
 * target:  RECEIVING -> PREPARED -> TAKEN_OVER -> COMPLETED
 *              |            |           |
 *              +------------+-----------+-> ABANDONED
 * </pre>
 */
public enum LedgerState {
  /** Source: nothing has been asked of the guest yet; it runs here. */
  PLANNED,
  /** Source: pages are on their way; the guest runs here. */
  STREAMING,
  /** Source: about to be, or being, paused for the switchover; it is still the source's. */
  PAUSED,
  /**
   * Source: the target may start the guest as soon as it is told to. Only the target's ledger says
   * whether it did; until that is known the guest stays paused here.
   */
  HANDED_OVER,
  /**
   * Source: the guest is the target's and runs there, but pages of it are only here (post-copy).
   * Its memory is kept until the target has it all. The guest here is not resumed, unless the user
   * insists on it and the target says that it has ended there and is not known to have run.
   */
  SERVING,
  /** Source: the target never took over and never will; the guest may be resumed here. */
  RECLAIMED,
  /** Source, final: the migration is off, and the guest was left, or set, running here. */
  FAILED,

  /** Target: memory is reserved and pages land; the guest is the source's. */
  RECEIVING,
  /** Target: all is landed and loaded, the guest could start; it is still the source's. */
  PREPARED,
  /** Target: the guest is this side's, and may run. */
  TAKEN_OVER,
  /** Target, final: this side has never started the guest and never will. */
  ABANDONED,

  /**
   * Final. Source: the target has confirmed that the guest runs there. Target: the source has
   * confirmed that it knows (its GOODBYE), so nobody will ask any more.
   */
  COMPLETED;

  /** Whether a ledger of that side may go from this state to the next one. */
  public boolean mayBecome(LedgerState next, LedgerSide side) {
    return switch (side) {
      case SOURCE -> sourceMayBecome(next);
      case TARGET -> targetMayBecome(next);
    };
  }

  private boolean sourceMayBecome(LedgerState next) {
    return switch (this) {
      case PLANNED -> next == STREAMING || next == PAUSED || next == FAILED;
      case STREAMING -> next == PAUSED || next == FAILED;
      // A switchover that is called off goes back to streaming; the guest runs on.
      case PAUSED -> next == STREAMING || next == HANDED_OVER || next == FAILED;
      // Never FAILED directly: the target must have been asked first, or never have been told.
      case HANDED_OVER -> next == SERVING || next == COMPLETED || next == RECLAIMED;
      case SERVING -> next == COMPLETED || next == RECLAIMED;
      case RECLAIMED -> next == FAILED;
      case FAILED, COMPLETED, RECEIVING, PREPARED, TAKEN_OVER, ABANDONED -> false;
    };
  }

  private boolean targetMayBecome(LedgerState next) {
    return switch (this) {
      case RECEIVING -> next == PREPARED || next == ABANDONED;
      case PREPARED -> next == TAKEN_OVER || next == ABANDONED;
      // Given back: its process ended before anybody told it to run.
      case TAKEN_OVER -> next == COMPLETED || next == ABANDONED;
      case ABANDONED,
          COMPLETED,
          PLANNED,
          STREAMING,
          PAUSED,
          HANDED_OVER,
          SERVING,
          RECLAIMED,
          FAILED ->
          false;
    };
  }

  /** Whether nothing is left to do or to decide: nothing can follow. */
  public boolean isFinal() {
    return this == COMPLETED || this == FAILED || this == ABANDONED;
  }
}
