package io.pageferry.guest.fault;

import io.pageferry.guest.handover.MappedPiece;
import io.pageferry.guest.linux.FaultEvents;
import io.pageferry.guest.linux.Userfaultfd;
import java.io.IOException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads what the guest's userfaultfd says: first what was removed, then the faults. A fault of a
 * missing page goes to the {@link FaultSink}, once a page; any other is answered here. Has a thread
 * of its own, which waits for nothing but the next event and, for the length of one piece, for
 * landings under way.
 *
 * <p>Another thread may serve what is queued instead (see {@link FaultWatch}); its own then looks
 * after the guest's end and after what is to be tried again. The monitor of this object lets one at
 * a time read and serve.
 */
final class FaultReader implements Runnable {
  private static final Logger LOG = LoggerFactory.getLogger(FaultReader.class);

  private static final int PAGE = ServedGuest.PAGE;

  /** Messages in one read. */
  private static final int BATCH = 64;

  /** Reads in a row before the faults are served. */
  private static final int READS = 16;

  /** A poll cannot be woken from outside, so it is done in steps. */
  private static final int STEP_MILLIS = 50;

  private static final int LAST_STEP_MILLIS = 5;

  /** How soon a page is tried again that the kernel would not take. */
  private static final int RETRY_MILLIS = 1;

  private static final long LOOK_NANOS = 50_000_000;

  /** How often the lock is tried before this thread goes to sleep for it: some ten microseconds. */
  private static final int SPINS = 200;

  private final ServedGuest guest;
  private final Userfaultfd userfaultfd;
  private final PageArrival arrival;
  private final PageRequests requests;
  private final FaultSink sink;

  private final FaultEvents events = new FaultEvents(BATCH);
  private final AddressList faults = new AddressList();
  private long readNanos;

  /** Threads wait at these for a page that is not missing; addresses of whole kernel pages. */
  private AddressList local = new AddressList();

  private AddressList refused = new AddressList();

  private boolean forkSaid;
  private boolean strangerSaid;
  private volatile boolean stopping;

  /** How many read the faults besides this thread. */
  private final AtomicInteger watches = new AtomicInteger();

  /** Why somebody else could not serve them; said by this thread. */
  private volatile @Nullable Exception failure;

  private volatile @Nullable Thread thread;

  FaultReader(ServedGuest guest, PageArrival arrival, PageRequests requests, FaultSink sink) {
    this.guest = guest;
    this.userfaultfd = guest.userfaultfd;
    this.arrival = arrival;
    this.requests = requests;
    this.sink = sink;
  }

  /** Has the thread read once more, so that nobody waits for an event to be read, and end. */
  void stop() {
    stopping = true;
    LockSupport.unpark(thread);
  }

  /** Another thread reads the faults, or does so no longer. Any thread. */
  void watched(boolean begins) {
    watches.addAndGet(begins ? 1 : -1);
    LockSupport.unpark(thread);
  }

  /** Any thread; see {@link FaultWatch#serve}. */
  boolean serveQueued() {
    if (stopping || failure != null) {
      return false;
    }
    try {
      boolean again;
      synchronized (this) {
        readEvents();
        serveFaults();
        answerLocally();
        again = local.size() > 0;
      }
      guest.noteIfComplete();
      if (again) {
        LockSupport.unpark(thread);
      }
      return true;
    } catch (IOException | RuntimeException e) {
      failure = e;
      LockSupport.unpark(thread);
      return false;
    }
  }

  @Override
  public void run() {
    thread = Thread.currentThread();
    try {
      if (!serve()) {
        sink.guestGone();
      }
    } catch (IOException | RuntimeException e) {
      if (!stopping) {
        LOG.debug("faults are no longer served", e);
        sink.failed(e instanceof IOException failed ? failed : new IOException(e));
      }
    }
  }

  /** Returns when told to stop, or, with false, when the guest has ended. */
  private boolean serve() throws IOException {
    long lookedNanos = System.nanoTime();
    while (!stopping) {
      step();
      guest.noteIfComplete();
      long now = System.nanoTime();
      if (guest.gone() || now - lookedNanos >= LOOK_NANOS) {
        lookedNanos = now;
        if (guest.gone() || guest.handover.guestGone()) {
          guest.noteGone();
          return false;
        }
      }
    }
    synchronized (this) {
      readEvents();
      answerLocally();
    }
    return true;
  }

  private void step() throws IOException {
    boolean some;
    if (watches.get() > 0) {
      // Also what the other one is about to read: he may be held up, and an event is read once.
      LockSupport.parkNanos(this, TimeUnit.MILLISECONDS.toNanos(stepMillis()));
      rethrow(failure);
      some = true;
    } else {
      rethrow(failure);
      some = userfaultfd.poll(stepMillis());
    }
    synchronized (this) {
      if (some) {
        readEvents();
        serveFaults();
      }
      answerLocally();
    }
  }

  private static void rethrow(@Nullable Exception failure) throws IOException {
    if (failure instanceof IOException io) {
      throw io;
    }
    if (failure != null) {
      throw new IOException(failure);
    }
  }

  private synchronized int stepMillis() {
    if (local.size() > 0) {
      return RETRY_MILLIS;
    }
    // Nothing missing: the end is near, and somebody will wait for this thread.
    return guest.complete.isDone() ? LAST_STEP_MILLIS : STEP_MILLIS;
  }

  /**
   * Takes all that is queued. Who gave pages back goes on as soon as that was read, so reading it
   * and forgetting the pages is one step for every landing.
   */
  private void readEvents() throws IOException {
    faults.clear();
    closeGate();
    try {
      for (int reads = 0; reads < READS; reads++) {
        int count = userfaultfd.read(events);
        readNanos = System.nanoTime();
        for (int i = 0; i < count; i++) {
          switch (events.kind(i)) {
            case FAULT -> faults.add(events.address(i));
            case REMOVED, UNMAPPED -> forget(events.start(i), events.end(i));
            case FORKED, OTHER -> sayForked();
          }
        }
        if (count < events.capacity()) {
          return;
        }
      }
    } finally {
      guest.gate.writeLock().unlock();
    }
  }

  private void closeGate() {
    for (int i = 0; i < SPINS; i++) {
      if (guest.gate.writeLock().tryLock()) {
        return;
      }
      Thread.onSpinWait();
    }
    guest.gate.writeLock().lock();
  }

  private void sayForked() {
    if (!forkSaid) {
      forkSaid = true;
      LOG.warn(
          "the guest's process forked or moved its memory; only what it handed over is served");
    }
  }

  /** The pages of this range read as zeros from now on. */
  private void forget(long start, long end) {
    for (MappedPiece piece : guest.addresses.all()) {
      long from = Math.max(start, piece.start());
      long to = Math.min(end, piece.end());
      if (from >= to) {
        continue;
      }
      int region = piece.region();
      long first = piece.pageAt(from);
      long count = (to - from + PAGE - 1) / PAGE;
      guest.counters.removed.add(guest.settle(region, first, count));
      if (piece.pageSize() > PAGE) {
        int granule = piece.pageSize() / PAGE;
        for (long page = first; page < first + count; page += granule) {
          guest.staged.drop(region, page, false);
        }
      }
      guest.waiting.forEach(region, first, count, (same, page) -> local.add(piece.addressOf(page)));
      int ignored = guest.waiting.take(region, first, count, since -> {});
      assert ignored >= 0;
    }
  }

  private void serveFaults() {
    for (int i = 0; i < faults.size(); i++) {
      serveFault(faults.get(i));
    }
    requests.send();
  }

  private void serveFault(long address) {
    MappedPiece piece = guest.addresses.at(address);
    if (piece == null) {
      if (!strangerSaid) {
        strangerSaid = true;
        LOG.warn(
            "the guest's process {} waits at 0x{}, which it did not hand over",
            guest.handover.pid(),
            Long.toHexString(address));
      }
      return;
    }
    int region = piece.region();
    int granule = piece.pageSize() / PAGE;
    long first = piece.pageAt(address);
    first -= (first - piece.firstPage()) % granule;
    if (guest.missing.nextMissing(region, first, first + granule) == first + granule) {
      local.add(piece.addressOf(first));
      return;
    }
    if (!guest.waiting.add(region, first, readNanos)) {
      return;
    }
    // A landing may have come between the look and the note; it did not see the note then.
    if (guest.missing.nextMissing(region, first, first + granule) == first + granule) {
      if (guest.waiting.take(region, first, granule, since -> {}) > 0) {
        local.add(piece.addressOf(first));
      }
      return;
    }
    guest.counters.faults.increment();
    requests.add(region, first, granule);
  }

  /** Any thread. */
  void repeatRequests() {
    PageRequests again = requests.another();
    for (MappedPiece piece : guest.addresses.all()) {
      AddressList waited = new AddressList();
      guest.waiting.forEach(
          piece.region(),
          piece.firstPage(),
          piece.pages(),
          (same, page) -> waited.add(piece.addressOf(page)));
      for (int i = 0; i < waited.size(); i++) {
        again.add(piece.region(), piece.pageAt(waited.get(i)), piece.pageSize() / PAGE);
      }
    }
    again.send();
  }

  /** Answers who waits for a page that is not missing; what the kernel refuses is kept. */
  private void answerLocally() throws IOException {
    AddressList now = local;
    local = refused;
    local.clear();
    refused = now;
    for (int i = 0; i < now.size(); i++) {
      long address = now.get(i);
      @Nullable MappedPiece piece = guest.addresses.at(address);
      if (piece == null) {
        continue;
      }
      if (arrival.resolveLocally(piece, address) == 0) {
        guest.counters.local.increment();
      } else {
        local.add(address);
      }
    }
  }
}
