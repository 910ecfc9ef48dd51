package io.pageferry.source;

/** Whether the target is asked what it still has of the guest. */
enum Warm {
  /** Where the link is slow enough for that to pay. */
  AUTO,
  /** In any case. */
  ON,
  /** Never. */
  OFF
}
