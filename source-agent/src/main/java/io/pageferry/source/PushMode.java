package io.pageferry.source;

/** What the source sends in post-copy besides what the guest waits for. */
enum PushMode {
  /** The neighbours of what the guest has just waited for, then the rest. */
  PREPAGING,
  /** Everything from the first page to the last. */
  ACTIVE,
  /** Nothing. */
  NONE
}
