package io.pageferry.source;

/**
 * Which of the pages that the target lacks the next round sends, and which wait.
 *
 * <p>A page that the guest keeps writing has changed again by the time it has arrived: sending it
 * in a round in the middle is in vain. One that was written during each of the last two rounds
 * waits from there on, and is sent as soon as a round passes without a write to it, or else with
 * the last pages, when the guest stands still or has moved. Two rounds, because the second sends it
 * once more and so gives its differences their base. How many may wait is the {@link RoundRule}'s.
 *
 * <p>A page that waits stays marked, so that it counts with what is left. Three bits a page of the
 * guest. Threading: the driver thread.
 */
final class SendOrder {
  private final DirtyPages lacking;
  private final DirtyPages next;
  private DirtyPages written;
  private DirtyPages writtenBefore;
  private long waited;

  /**
   * @param regionPages the size of each region in pages
   * @param lacking the pages that the target does not have as they are; more are marked by {@link
   *     #written}, and those that are sent are taken out
   */
  SendOrder(long[] regionPages, DirtyPages lacking) {
    this.lacking = lacking;
    next = new DirtyPages(regionPages);
    written = new DirtyPages(regionPages);
    writtenBefore = new DirtyPages(regionPages);
  }

  /** The guest wrote this during the round that is being closed. */
  void written(int region, long firstPage, long pages) {
    lacking.mark(region, firstPage, pages);
    written.mark(region, firstPage, pages);
  }

  /** How many pages waited during the round that is being closed. */
  long waited() {
    return waited;
  }

  /**
   * How many of those were not written during it. Had they been sent, they would not be left; known
   * when all that was written is.
   */
  long calm() {
    return Math.max(0, lacking.count() - written.count());
  }

  /**
   * Closes the round and takes out what the next one sends.
   *
   * @param mayWait how many pages may wait
   * @return valid until the next call; whoever sends them takes them out
   */
  DirtyPages next(long mayWait) {
    next.clear();
    lacking.moveTo(next, written, writtenBefore, mayWait);
    waited = lacking.count();
    DirtyPages oldest = writtenBefore;
    writtenBefore = written;
    written = oldest;
    written.clear();
    return next;
  }
}
