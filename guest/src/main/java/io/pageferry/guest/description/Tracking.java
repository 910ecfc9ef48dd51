package io.pageferry.guest.description;

/** How the pages that a running guest writes are found. */
public enum Tracking {
  /** By hand-over where the guest offers it, otherwise by digests. */
  AUTO,
  /** By the kernel, on a userfaultfd that the guest hands over. */
  HANDOVER,
  /** By comparing the content of every page with what was last sent. */
  DIGEST
}
