package io.pageferry.source;

import io.pageferry.agent.local.MigrationStatus;
import io.pageferry.protocol.page.PageTally;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Where a migration is, for whoever looks on: the status socket, the progress line, the metrics.
 *
 * <p>Written by the driver, the page counter by every sender; read by any thread. The fields may be
 * seen a moment apart from one another, which is good enough for people.
 */
final class MigrationProgress {
  /** The phase in which the guest runs on the target and its pages follow. */
  static final String POSTCOPY = "post-copy";

  private final UUID migration;
  private final String peer;
  private final long startNanos = System.nanoTime();
  private volatile String guest = "";
  private volatile String phase = "preparation";
  private volatile boolean switchingOver;
  private volatile int round;
  private volatile long pagesTotal;
  private volatile long roundPages;
  private volatile long roundStartNanos;
  private volatile long roundStartBytes;
  private volatile long dirtyBytesPerSecond;
  private final AtomicLong roundSent = new AtomicLong();
  private final AtomicLong pagesSent = new AtomicLong();
  private final AtomicLong wireBytes = new AtomicLong();
  private final AtomicLong faults = new AtomicLong();
  private final AtomicLong deltaPages = new AtomicLong();
  private final AtomicLong deduplicatedPages = new AtomicLong();
  private final AtomicLong deltaHits = new AtomicLong();
  private final AtomicLong deltaMisses = new AtomicLong();
  private final AtomicLong deltaOverflows = new AtomicLong();

  MigrationProgress(UUID migration, String peer) {
    this.migration = migration;
    this.peer = peer;
  }

  UUID migration() {
    return migration;
  }

  void guest(String name, long pages) {
    guest = name;
    pagesTotal = pages;
  }

  String guest() {
    return guest;
  }

  void phase(String name) {
    phase = name;
  }

  String phase() {
    return phase;
  }

  void roundBegins(int number, long pages) {
    round = number;
    roundPages = pages;
    roundSent.set(0);
    roundStartBytes = wireBytes.get();
    roundStartNanos = System.nanoTime();
    if (!switchingOver) {
      phase = "round " + number;
    }
  }

  /** From here on the guest stands still; the last round belongs to this phase. */
  void switchoverBegins() {
    switchingOver = true;
    phase = "switchover";
  }

  /** The guest runs on the target; so many pages are still to follow. */
  void postcopyBegins(int number, long pages) {
    switchingOver = true;
    roundBegins(number, pages);
    phase = POSTCOPY;
  }

  /** The guest waited for so many pages, which were sent at once. */
  void faulted(long pages) {
    faults.addAndGet(pages);
  }

  /** Pages sent because the guest waited for them. */
  long faults() {
    return faults.get();
  }

  /** So many pages of a round that is over were found at the target. */
  void deduplicated(long pages) {
    deduplicatedPages.addAndGet(pages);
  }

  /** Pages whose content the target found, as of the last whole round. */
  long deduplicatedPages() {
    return deduplicatedPages.get();
  }

  /** What a round that is over did with deltas. */
  void deltas(PageTally round) {
    deltaPages.addAndGet(round.delta());
    deltaHits.addAndGet(round.deltaHits());
    deltaMisses.addAndGet(round.deltaMisses());
    deltaOverflows.addAndGet(round.deltaOverflows());
  }

  /** Pages sent as deltas, as of the last whole round; so are the next three. */
  long deltaPages() {
    return deltaPages.get();
  }

  long deltaHits() {
    return deltaHits.get();
  }

  long deltaMisses() {
    return deltaMisses.get();
  }

  long deltaOverflows() {
    return deltaOverflows.get();
  }

  void roundEnded(long dirtyPages, long nanos) {
    dirtyBytesPerSecond = (long) (dirtyPages * 4096 * 1e9 / Math.max(1, nanos));
  }

  /** Called by the senders after each frame. */
  void sent(long pages, long bytes) {
    roundSent.addAndGet(pages);
    pagesSent.addAndGet(pages);
    wireBytes.addAndGet(bytes);
  }

  int round() {
    return round;
  }

  long pagesSent() {
    return pagesSent.get();
  }

  long wireBytes() {
    return wireBytes.get();
  }

  long roundPages() {
    return roundPages;
  }

  long roundSent() {
    return roundSent.get();
  }

  long roundStartNanos() {
    return roundStartNanos;
  }

  long dirtyBytesPerSecond() {
    return dirtyBytesPerSecond;
  }

  long startNanos() {
    return startNanos;
  }

  /** Of the present round; 0 before the first. */
  long bytesPerSecond() {
    long start = roundStartNanos;
    if (start == 0) {
      return 0;
    }
    long nanos = Math.max(1, System.nanoTime() - start);
    return (long) ((wireBytes.get() - roundStartBytes) * 1e9 / nanos);
  }

  MigrationStatus status() {
    return new MigrationStatus(
        migration,
        guest,
        peer,
        phase,
        round,
        pagesTotal,
        pagesSent.get(),
        Math.max(0, roundPages - roundSent.get()),
        bytesPerSecond(),
        dirtyBytesPerSecond);
  }
}
