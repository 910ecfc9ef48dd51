package io.pageferry.protocol.message;

/**
 * Pages that lie side by side in one region.
 *
 * @param firstPage number of the first, from 0
 * @param count at least 1
 */
public record PageSpan(long firstPage, long count) {
  public PageSpan {
    Bounds.checkCount("first page", firstPage);
    Bounds.check("number of pages", count, 1, Long.MAX_VALUE - firstPage);
  }

  /** The page behind the last one. */
  public long endPage() {
    return firstPage + count;
  }
}
