package io.pageferry.protocol.page;

/**
 * Runs of pages of one region, in ascending order, whose contents lie one after the other in a
 * snapshot. Scattered dirty pages travel in one frame this way.
 */
public interface PageRuns {
  int region();

  /** How many runs, at least 1. */
  int runs();

  /** All pages of all runs, at most {@link PageBatch#MAX_PAGES}. */
  int pages();

  long firstPage(int run);

  int count(int run);

  /** A single run. */
  static PageRuns of(int region, long firstPage, int count) {
    return new SinglePageRun(region, firstPage, count);
  }
}
