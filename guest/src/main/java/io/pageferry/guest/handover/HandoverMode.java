package io.pageferry.guest.handover;

/** What a handed-over userfaultfd is registered for. */
public enum HandoverMode {
  /** Asynchronous write protection: the kernel notes which pages are written. */
  WRITE_PROTECT,
  /** Missing pages: the guest waits until the page that it touched is put in place. */
  MISSING
}
