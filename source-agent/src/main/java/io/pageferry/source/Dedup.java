package io.pageferry.source;

/** Whether pages are offered by their digests, for the target to look for their content. */
enum Dedup {
  /** Where the link is slow enough for that to pay. */
  AUTO,
  /** In any case. */
  ON,
  /** Never. */
  OFF
}
