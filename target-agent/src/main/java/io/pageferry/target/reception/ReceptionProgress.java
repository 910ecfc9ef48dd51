package io.pageferry.target.reception;

import io.pageferry.agent.local.MigrationStatus;
import io.pageferry.guest.units.ByteSize;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.page.PageBatch;

/** Where a reception is, for {@code target status}: written by its driver, read by anyone. */
final class ReceptionProgress {
  private final Offer offer;
  private final PeerIdentity source;
  private final LandedPages landed;
  private final long began = System.nanoTime();
  private volatile String phase = "offered";
  private volatile int round;
  private volatile long roundPages;
  private volatile long landedBefore;

  ReceptionProgress(Offer offer, PeerIdentity source, LandedPages landed) {
    this.offer = offer;
    this.source = source;
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

  String memoryText() {
    return ByteSize.format(memoryBytes());
  }

  private long memoryBytes() {
    return offer.regions().stream().mapToLong(RegionOffer::bytes).sum();
  }

  MigrationStatus status() {
    long pages = landed.pages();
    double seconds = Math.max(1e-3, (System.nanoTime() - began) / 1e9);
    return new MigrationStatus(
        offer.migration(),
        offer.guest(),
        source.name() + " at " + source.hostAndPort(),
        phase,
        round,
        memoryBytes() / PageBatch.PAGE_BYTES,
        pages,
        round == 0 ? -1 : Math.max(0, roundPages - (pages - landedBefore)),
        (long) (pages * PageBatch.PAGE_BYTES / seconds),
        -1);
  }
}
