package io.pageferry.guest.description;

/** How the pages that a running guest writes are found. */
public enum Tracking {
  /** By the kernel where the guest's memory can be had for that, otherwise by digests. */
  AUTO,
  /** By the kernel, on a userfaultfd that the guest hands over or that is made in its process. */
  HANDOVER,
  /** By comparing the content of every page with what was last sent. */
  DIGEST
}
