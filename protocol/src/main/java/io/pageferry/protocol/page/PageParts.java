package io.pageferry.protocol.page;

/**
 * A page in eight parts of 512 bytes, for pages of which the target still has some: a guest that
 * changes a word of a page leaves most of it as it was.
 *
 * <p>The data of a PARTS run, for pages that lie side by side:
 *
 * <pre>
 *  +---------------+-----------------------------------------------+  0
 *  |     form      |  for each page one byte: bit i set if part i  |
 *  +---------------+  follows, and else is what the target has     +  1 + pages
 *  |   the parts that follow, in their order, all of them as one   |
 *  |   block: as they are (form 1), by LZ4 (2) or by zstd (3)      |
 *  +---------------------------------------------------------------+
 * </pre>
 *
 * A page of which nothing follows is what the target has; one of which all parts follow need not be
 * one that it has.
 */
final class PageParts {
  static final int PART = 512;

  /** In a page. */
  static final int PARTS = PageBatch.PAGE_BYTES / PART;

  /** The byte of a page of which all parts follow. */
  static final int ALL = (1 << PARTS) - 1;

  static final int AS_THEY_ARE = 1;
  static final int BY_LZ4 = 2;
  static final int BY_ZSTD = 3;

  private PageParts() {}

  /** Bytes of data in front of the block. */
  static int headerBytes(int pages) {
    return 1 + pages;
  }
}
