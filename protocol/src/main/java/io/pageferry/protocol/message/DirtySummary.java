package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.List;

/**
 * What is dirty in one region at the begin of a round; for information only.
 *
 * @param round the round that these pages will be sent in
 * @param region number of the region
 * @param dirtyPages how many
 * @param spans where, up to {@value #MAX_SPANS}; empty if only the number is told
 */
public record DirtySummary(int round, int region, long dirtyPages, List<PageSpan> spans)
    implements Message {
  public static final int MAX_SPANS = 4096;

  public DirtySummary {
    Bounds.check("round", round, 1, Integer.MAX_VALUE);
    Bounds.check("region", region, 0, Offer.MAX_REGIONS - 1L);
    Bounds.checkCount("dirty pages", dirtyPages);
    spans = List.copyOf(spans);
    Bounds.check("number of spans", spans.size(), 0, MAX_SPANS);
  }

  @Override
  public FrameType type() {
    return FrameType.DIRTY_SUMMARY;
  }
}
