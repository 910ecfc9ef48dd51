package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.Arrays;

/**
 * The guest on the target waits for these pages; on the fault channel only. The source answers on
 * that channel, with {@link FrameType#PAGES}, unless a page is already on its way.
 *
 * @param region number of the region
 * @param pages 1 to {@value #MAX_PAGES} page numbers, the most urgent first. Not copied: nobody may
 *     change them
 */
@SuppressWarnings("ArrayRecordComponent") // equals, hashCode and toString are written out below
public record PageRequest(int region, long[] pages) implements Message {
  /** A huge page of 2 MiB. */
  public static final int MAX_PAGES = 512;

  public PageRequest {
    Bounds.check("region", region, 0, Offer.MAX_REGIONS - 1L);
    Bounds.check("number of pages", pages.length, 1, MAX_PAGES);
    for (long page : pages) {
      Bounds.checkCount("page", page);
    }
  }

  @Override
  public FrameType type() {
    return FrameType.PAGE_REQUEST;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof PageRequest that
        && region == that.region
        && Arrays.equals(pages, that.pages);
  }

  @Override
  public int hashCode() {
    return 31 * region + Arrays.hashCode(pages);
  }

  @Override
  public String toString() {
    return "PageRequest[region="
        + region
        + ", pages="
        + (pages.length == 1 ? pages[0] : pages[0] + " and " + (pages.length - 1) + " more")
        + "]";
  }
}
