package io.pageferry.guest.fault;

/** Gathers the pages that faults ask for into requests to the sink. Owned by one thread. */
final class PageRequests {
  /** Pages in one request: as many as a huge page has, and as the wire allows. */
  private static final int MOST = 512;

  private final ServedGuest guest;
  private final FaultSink sink;
  private final long[] pages = new long[MOST];
  private int region;
  private int count;

  PageRequests(ServedGuest guest, FaultSink sink) {
    this.guest = guest;
    this.sink = sink;
  }

  /**
   * Asks for what is missing of one page of the guest's kernel.
   *
   * @param granule how many pages that has
   */
  void add(int region, long first, int granule) {
    for (int i = 0; i < granule; i++) {
      if (guest.missing.contains(region, first + i)
          && (granule == 1 || !guest.staged.arrived(region, first, i))) {
        if (count > 0 && (this.region != region || count == MOST)) {
          send();
        }
        this.region = region;
        pages[count++] = first + i;
      }
    }
  }

  /** Sends what is left. */
  void send() {
    if (count > 0) {
      int ready = count;
      count = 0;
      sink.request(region, pages, ready);
    }
  }

  /** For another thread. */
  PageRequests another() {
    return new PageRequests(guest, sink);
  }
}
