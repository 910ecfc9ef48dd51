package io.pageferry.guest.fault;

import io.pageferry.guest.dirty.GuestGoneException;
import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.MappedPiece;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.guest.linux.Userfaultfd;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/** What the reader of faults and the landing of pages share about one guest. Any thread. */
final class ServedGuest {
  static final int PAGE = ImageRegion.PAGE_BYTES;

  final GuestHandover handover;
  final Userfaultfd userfaultfd;
  final GuestAddresses addresses;
  final MissingPages missing;
  final WaitingPages waiting = new WaitingPages();
  final StagedGranules staged;
  final FaultCounters counters = new FaultCounters();
  final CompletableFuture<Void> complete = new CompletableFuture<>();

  /**
   * Read: looking at a page's bit and copying the page are one step. Write: reading events and
   * clearing the bits of what was removed are one step.
   *
   * <p>This kind of lock lets no reader in front of a waiting writer, so that the stream of bulk
   * landings cannot keep faults from being read.
   */
  final ReentrantReadWriteLock gate = new ReentrantReadWriteLock();

  private volatile boolean gone;

  ServedGuest(GuestHandover handover, List<MappedPiece> pieces, MissingPages missing) {
    this.handover = handover;
    this.userfaultfd = handover.userfaultfd();
    this.addresses = new GuestAddresses(pieces);
    this.missing = missing;
    this.staged = new StagedGranules(missing);
    noteIfComplete();
  }

  /** Marks pages as no longer missing; returns how many were. */
  long settle(int region, long firstPage, long count) {
    return missing.remove(region, firstPage, count);
  }

  /** To be called after pages were settled, and without the gate: others go on from here. */
  void noteIfComplete() {
    if (missing.count() == 0) {
      complete.complete(null);
    }
  }

  boolean gone() {
    return gone;
  }

  void noteGone() {
    gone = true;
  }

  GuestGoneException goneException() {
    return new GuestGoneException("the guest's process " + handover.pid() + " has ended");
  }
}
