package io.pageferry.target.reception;

import io.pageferry.agent.local.MigrationStatus;
import io.pageferry.guest.units.ByteSize;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.page.PageBatch;
import java.util.UUID;

/** Where a reception is, for {@code target status}: written by its driver, read by anyone. */
final class ReceptionProgress {
  private final UUID migration;
  private final String guest;
  private final String source;
  private volatile long memoryBytes;
  private final LandedPages landed;
  private final long began = System.nanoTime();
  private volatile String phase = "offered";
  private volatile int round;
  private volatile long roundPages;
  private volatile long landedBefore;

  /** Pages that come after the guest; -1 before it is known how many. */
  private volatile long missing = -1;

  ReceptionProgress(
      UUID migration, String guest, String source, long memoryBytes, LandedPages landed) {
    this.migration = migration;
    this.guest = guest;
    this.source = source;
    this.memoryBytes = memoryBytes;
    this.landed = landed;
  }

  void phase(String name) {
    phase = name;
  }

  void round(RoundBegin begin) {
    landedBefore = landed.pages();
    roundPages = begin.dirtyPages();
    round = begin.round();
  }

  /** How large the guest is, where that was not known beforehand. */
  void memory(long bytes) {
    memoryBytes = bytes;
  }

  void missing(long pages) {
    missing = pages;
  }

  String memoryText() {
    return ByteSize.format(memoryBytes);
  }

  private long remaining(long pages) {
    if (missing >= 0) {
      return missing;
    }
    return round == 0 ? -1 : Math.max(0, roundPages - (pages - landedBefore));
  }

  MigrationStatus status() {
    long pages = landed.pages();
    double seconds = Math.max(1e-3, (System.nanoTime() - began) / 1e9);
    return new MigrationStatus(
        migration,
        guest,
        source,
        phase,
        round,
        memoryBytes / PageBatch.PAGE_BYTES,
        pages,
        remaining(pages),
        (long) (pages * PageBatch.PAGE_BYTES / seconds),
        -1);
  }
}
