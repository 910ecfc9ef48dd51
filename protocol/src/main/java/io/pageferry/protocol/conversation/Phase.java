package io.pageferry.protocol.conversation;

/** How far a control channel's conversation is; the same names on both sides. */
public enum Phase {
  /** Nothing was said yet. */
  NEW,
  /** HELLO went, WELCOME is due. */
  GREETING,
  /** Both sides agree on a version; the source may offer a guest or ask after one. */
  READY,
  /** OWNERSHIP_QUERY or RECLAIM went, OWNERSHIP is due. */
  ASKING,
  /** OFFER went, ACCEPTED is due. */
  OFFERED,
  /** The target has reserved everything; data channels join, and the first round may begin. */
  ACCEPTED,
  /** A round with the guest running. */
  ROUND,
  /** A round has landed; the next may begin. */
  BETWEEN_ROUNDS,
  /** The round with the guest paused; device state may travel beside it. */
  LAST_ROUND,
  /** Post-copy: MISSING comes, and when it is complete and the guest paused, device state. */
  SWITCHING,
  /** Post-copy: SWITCH went; the target loads device state, and PREPARED is due. */
  LOADING,
  /** DIGEST went, PREPARED is due. */
  COMPARING,
  /** The digests differ: the source may only abort. */
  MISMATCHED,
  /** The target is ready to run the guest; the source may commit. */
  PREPARED,
  /** COMMIT went: the guest is the target's. */
  COMMITTED,
  /** Post-copy: RESUME went; RESUMED is due, and behind it what the target still waits for. */
  RESUMING,
  /** Post-copy: the guest runs on the target, and some of its pages are still at the source. */
  FETCHING,
  /** The guest runs on the target, and has everything there. */
  STARTED,
  /** GOODBYE went. */
  CLOSED,
  /** One side gave up. */
  ABORTED
}
