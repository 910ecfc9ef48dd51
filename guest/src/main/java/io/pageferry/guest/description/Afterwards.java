package io.pageferry.guest.description;

/** What becomes of the paused guest on the source once the target runs it. */
public enum Afterwards {
  /** It is told to end. */
  QUIT,
  /** It stays, paused; whoever continues it then has the guest running twice. */
  KEEP
}
