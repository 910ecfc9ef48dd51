package io.pageferry.protocol.page;

/**
 * How pages with content may be packed, from the one that costs least to the one that saves most.
 */
public enum PageCodec {
  /** Not at all. */
  RAW(PageEncoding.RAW, PageBatch.MAX_PAGES),
  /** Saves about half of what shrinks, at more than a gigabyte a second. */
  LZ4(PageEncoding.LZ4, PageBatch.MAX_LZ4_PAGES),
  /**
   * Saves a third more, at a third of the speed. It learns from the pages in front, so its blocks
   * are longer.
   */
  ZSTD(PageEncoding.ZSTD, PageBatch.MAX_ZSTD_PAGES);

  private final PageEncoding encoding;
  private final int blockPages;

  PageCodec(PageEncoding encoding, int blockPages) {
    this.encoding = encoding;
    this.blockPages = blockPages;
  }

  /** What stands on the wire. */
  PageEncoding encoding() {
    return encoding;
  }

  /** The most pages that are packed together. */
  int blockPages() {
    return blockPages;
  }
}
