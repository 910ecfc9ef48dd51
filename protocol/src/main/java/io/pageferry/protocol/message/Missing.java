package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.List;

/**
 * Pages of one region that the target does not have, or has in an older version. From the source
 * before post-copy begins: they will come later, and until then the guest must wait for them. From
 * the target after {@link Resumed}: they did not arrive before the connection was lost. A series of
 * these messages names a page at most once; the regions may come in any order and repeatedly.
 *
 * @param region number of the region
 * @param last whether the series, for the whole image, is complete with this message
 * @param spans up to {@value #MAX_SPANS}, ascending and disjoint; may be empty
 */
public record Missing(int region, boolean last, List<PageSpan> spans) implements Message {
  /** As many as fit the shortest payload that a peer may insist on ({@link Limits}). */
  public static final int MAX_SPANS = 4095;

  public Missing {
    Bounds.check("region", region, 0, Offer.MAX_REGIONS - 1L);
    spans = List.copyOf(spans);
    Bounds.check("number of spans", spans.size(), 0, MAX_SPANS);
    long end = 0;
    for (PageSpan span : spans) {
      Bounds.check("first page of a span", span.firstPage(), end, RegionOffer.MAX_PAGES);
      end = span.endPage();
      Bounds.check("end of a span", end, 1, RegionOffer.MAX_PAGES);
    }
  }

  /** How many pages this message names. */
  public long pages() {
    return spans.stream().mapToLong(PageSpan::count).sum();
  }

  /** The page behind the last one that this message names; 0 if it names none. */
  public long endPage() {
    return spans.isEmpty() ? 0 : spans.getLast().endPage();
  }

  @Override
  public FrameType type() {
    return FrameType.MISSING;
  }
}
