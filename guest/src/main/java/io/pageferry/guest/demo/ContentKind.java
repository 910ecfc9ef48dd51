package io.pageferry.guest.demo;

/** What fills a page behind its header. */
enum ContentKind {
  /** Words of a small vocabulary: LZ4 makes about half of it. */
  TEXT(1),
  /** Rows with counters, addresses of one heap and small numbers, as data structures look. */
  RECORDS(2),
  /** Nothing that compresses. */
  RANDOM(3),
  /** One half of the page random, the other zero. */
  HALF(4);

  private final int code;

  ContentKind(int code) {
    this.code = code;
  }

  /** What stands in the page's header. */
  int code() {
    return code;
  }
}
