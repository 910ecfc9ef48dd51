package io.pageferry.protocol.page;

import java.util.Objects;

/** Pages that lie side by side. */
record SinglePageRun(int region, long firstPage, int pages) implements PageRuns {
  @Override
  public int runs() {
    return 1;
  }

  @Override
  public long firstPage(int run) {
    Objects.checkIndex(run, 1);
    return firstPage;
  }

  @Override
  public int count(int run) {
    Objects.checkIndex(run, 1);
    return pages;
  }
}
