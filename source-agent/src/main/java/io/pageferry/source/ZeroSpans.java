package io.pageferry.source;

import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.page.PageRuns;
import java.util.ArrayList;
import java.util.List;

/**
 * Zero pages that wait to be told in one frame. Neighbouring runs become one.
 *
 * <p>Threading: one page sender's own.
 */
final class ZeroSpans {
  /** 32 MiB: few frames for an empty guest, and the target still has something to do meanwhile. */
  private static final long MOST_PAGES = 8192;

  private final int maxSpans;
  private final List<PageSpan> spans = new ArrayList<>();
  private int region;
  private long pages;

  /**
   * @param maxSpans how many a frame may have
   */
  ZeroSpans(int maxSpans) {
    this.maxSpans = maxSpans;
  }

  /** Whether these runs fit behind what is here; they must ascend within a frame. */
  boolean takes(PageRuns runs) {
    return pages == 0
        || (region == runs.region()
            && pages + runs.pages() <= MOST_PAGES
            && spans.size() + runs.runs() <= maxSpans
            && runs.firstPage(0) >= spans.getLast().endPage());
  }

  void add(int ofRegion, long firstPage, long count) {
    region = ofRegion;
    pages += count;
    if (!spans.isEmpty() && spans.getLast().endPage() == firstPage) {
      PageSpan last = spans.removeLast();
      spans.add(new PageSpan(last.firstPage(), last.count() + count));
    } else {
      spans.add(new PageSpan(firstPage, count));
    }
  }

  int region() {
    return region;
  }

  /** How many wait. */
  long pages() {
    return pages;
  }

  /** Hands them out and is empty afterwards. */
  List<PageSpan> drain() {
    List<PageSpan> all = List.copyOf(spans);
    spans.clear();
    pages = 0;
    return all;
  }
}
