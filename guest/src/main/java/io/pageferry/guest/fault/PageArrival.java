package io.pageferry.guest.fault;

import io.pageferry.guest.fault.StagedGranules.Granule;
import io.pageferry.guest.handover.MappedPiece;
import io.pageferry.guest.image.PageRunConsumer;
import io.pageferry.guest.linux.Errno;
import io.pageferry.guest.linux.Userfaultfd;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Lands pages in the guest's memory, through the guest's userfaultfd. Any number of threads.
 *
 * <p>The lock that keeps removals out is held for one short piece at a time: whoever reads faults
 * waits for no more than that, and a single page that somebody waits for goes beside a bulk.
 */
final class PageArrival {
  private static final int PAGE = ServedGuest.PAGE;

  /** Pages in one call to the kernel: about 20 µs. */
  private static final int PIECE = 16;

  /** Added to a number of pages that did not land, because they are there or not wanted. */
  private static final long SKIPPED = 1L << 40;

  /** How long the kernel may say "not now", be it for want of memory, before that is an error. */
  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(30);

  private static final long FIRST_PAUSE_NANOS = 20_000;
  private static final long LONGEST_PAUSE_NANOS = 1_000_000;

  private final ServedGuest guest;
  private final Userfaultfd userfaultfd;
  private final LongConsumer served;

  PageArrival(ServedGuest guest, FaultSink sink) {
    this.guest = guest;
    this.userfaultfd = guest.userfaultfd;
    this.served =
        since -> {
          long nanos = System.nanoTime() - since;
          guest.counters.served(nanos);
          sink.served(nanos);
        };
  }

  /** Waits between two attempts, longer and longer, and gives up in the end. */
  private final class Patience {
    private long start;
    private long pause = FIRST_PAUSE_NANOS;

    void again(long errno) throws IOException {
      if (guest.gone()) {
        throw guest.goneException();
      }
      long now = System.nanoTime();
      if (start == 0) {
        start = now;
      } else if (now - start > PATIENCE_NANOS) {
        throw failed((int) errno);
      }
      LockSupport.parkNanos(pause);
      pause = Math.min(2 * pause, LONGEST_PAUSE_NANOS);
    }

    void over() {
      start = 0;
      pause = FIRST_PAUSE_NANOS;
    }
  }

  /** Lands pages that lie in one region, and reports those that were not there before. */
  void land(int region, long firstPage, long source, long pages, PageRunConsumer landed)
      throws IOException {
    Patience patience = null;
    long page = firstPage;
    long end = firstPage + pages;
    while (page < end) {
      MappedPiece piece = guest.addresses.of(region, page);
      long content = source + (page - firstPage) * PAGE;
      long part = Math.min(end, piece.firstPage() + piece.pages()) - page;
      if (piece.pageSize() > PAGE) {
        part = Math.min(part, toGranuleEnd(piece, page));
        if (landInGranule(piece, page, content, part)) {
          landed.run(region, page, part);
        }
        page += part;
        continue;
      }
      long done;
      guest.gate.readLock().lock();
      try {
        done = landPiece(piece, page, content, Math.min(part, PIECE));
      } finally {
        guest.gate.readLock().unlock();
      }
      if (done <= 0) {
        // Made only when it is needed.
        patience = patience == null ? new Patience() : patience;
        patience.again(-done);
        continue;
      }
      if (patience != null) {
        patience.over();
      }
      if (done < SKIPPED) {
        landed.run(region, page, done);
      }
      page += done % SKIPPED;
    }
    guest.noteIfComplete();
  }

  /**
   * One piece, two calls to the kernel at most.
   *
   * @return the pages landed; or {@link #SKIPPED} and the pages that need not land; or what to wait
   *     for, negated
   */
  private long landPiece(MappedPiece piece, long page, long source, long limit) throws IOException {
    int region = piece.region();
    long wanted = guest.missing.nextMissing(region, page, page + limit) - page;
    if (wanted > 0) {
      guest.counters.duplicates.add(wanted);
      return SKIPPED + wanted;
    }
    long run = guest.missing.nextPresent(region, page, page + limit) - page;
    long address = piece.addressOf(page);
    long copied = userfaultfd.copy(address, source, run * PAGE);
    if (copied == -Errno.ENOENT && run > 1) {
      // Perhaps only the end of the run is no longer mapped.
      run = 1;
      copied = userfaultfd.copy(address, source, PAGE);
    }
    if (copied > 0) {
      long landed = copied / PAGE;
      noteLanded(region, page, landed);
      return landed;
    }
    long skipped = refused((int) -copied, piece, page, 1);
    return skipped > 0 ? SKIPPED + skipped : skipped;
  }

  private void noteLanded(int region, long page, long count) {
    long settled = guest.settle(region, page, count);
    int waited = guest.waiting.take(region, page, count, served);
    guest.counters.duplicates.add(count - settled);
    guest.counters.avoided.add(Math.max(0, settled - waited));
  }

  /** What to make of the kernel's no to these pages, which are the first of a call. */
  private long refused(int errno, MappedPiece piece, long page, long count) throws IOException {
    int region = piece.region();
    return switch (errno) {
      case Errno.EEXIST -> {
        // Woken first: with the last page settled, the guest may be let go of at any moment.
        userfaultfd.wake(piece.addressOf(page), count * PAGE);
        guest.settle(region, page, count);
        guest.counters.duplicates.add(count);
        guest.waiting.take(region, page, count, served);
        yield count;
      }
      case Errno.ENOENT -> {
        // The guest has unmapped it: nobody can ask for it any more. Where its descriptor does not
        // tell of that this is all that is heard of it, so it counts like what was given back.
        guest.counters.removed.add(guest.settle(region, page, count));
        guest.waiting.take(region, page, count, since -> {});
        yield count;
      }
      case Errno.ESRCH -> {
        guest.noteGone();
        throw guest.goneException();
      }
      case Errno.EAGAIN, Errno.ENOMEM -> -errno;
      default -> throw failed(errno);
    };
  }

  private IOException failed(int errno) {
    return new IOException(
        ("a page cannot be put into the memory of the guest's process %d (%s); what it touches"
                + " there waits")
            .formatted(guest.handover.pid(), Errno.describe(errno)));
  }

  private static int granulePages(MappedPiece piece) {
    return piece.pageSize() / PAGE;
  }

  private static long granuleOf(MappedPiece piece, long page) {
    long inPiece = page - piece.firstPage();
    return page - inPiece % granulePages(piece);
  }

  private static long toGranuleEnd(MappedPiece piece, long page) {
    return granuleOf(piece, page) + granulePages(piece) - page;
  }

  /**
   * Gathers pages of one huge page and lands it when nothing of it is missing any more.
   *
   * @return whether these pages were still wanted
   */
  private boolean landInGranule(MappedPiece piece, long page, long source, long count)
      throws IOException {
    int region = piece.region();
    long first = granuleOf(piece, page);
    int pages = granulePages(piece);
    Granule granule = null;
    Patience patience = new Patience();
    while (true) {
      long done;
      guest.gate.readLock().lock();
      try {
        if (granule == null) {
          if (guest.missing.nextMissing(region, page, page + count) == page + count) {
            guest.counters.duplicates.add(count);
            return false;
          }
          MemorySegment content =
              source == 0 ? null : MemorySegment.ofAddress(source).reinterpret(count * PAGE);
          granule =
              guest.staged.add(region, first, pages, (int) (page - first), content, (int) count);
        }
        if (granule == null) {
          return true;
        }
        if (!guest.staged.holds(region, first, granule)) {
          return false;
        }
        done = landGranule(piece, first, pages, granule);
      } finally {
        guest.gate.readLock().unlock();
      }
      if (done > 0) {
        guest.staged.drop(region, first, true);
        return true;
      }
      patience.again(-done);
    }
  }

  private long landGranule(MappedPiece piece, long first, int pages, Granule granule)
      throws IOException {
    long copied =
        userfaultfd.copy(piece.addressOf(first), granule.content().address(), piece.pageSize());
    if (copied < 0) {
      return refused((int) -copied, piece, first, pages);
    }
    long settled = guest.settle(piece.region(), first, pages);
    if (guest.waiting.take(piece.region(), first, pages, served) == 0) {
      guest.counters.avoided.add(settled);
    }
    return pages;
  }

  /**
   * Declares pages to be zero; those that somebody waits for become so now. Reports those that were
   * missing.
   */
  void landZero(int region, long firstPage, long count, PageRunConsumer landed) throws IOException {
    long page = firstPage;
    long end = firstPage + count;
    while (page < end) {
      MappedPiece piece = guest.addresses.of(region, page);
      long part = Math.min(end, piece.firstPage() + piece.pages()) - page;
      if (piece.pageSize() > PAGE) {
        part = Math.min(part, toGranuleEnd(piece, page));
        if (landInGranule(piece, page, 0, part)) {
          landed.run(region, page, part);
        }
      } else {
        declareZero(piece, page, part, landed);
      }
      page += part;
    }
    guest.noteIfComplete();
  }

  private void declareZero(MappedPiece piece, long page, long count, PageRunConsumer landed)
      throws IOException {
    int region = piece.region();
    long settled = 0;
    long end = page + count;
    for (long first = guest.missing.nextMissing(region, page, end); first < end; ) {
      long past = guest.missing.nextPresent(region, first, end);
      long now = guest.settle(region, first, past - first);
      settled += now;
      if (now == past - first) {
        // Otherwise the guest gives some of them back at this moment; they are not reported then.
        landed.run(region, first, past - first);
      }
      first = guest.missing.nextMissing(region, past, end);
    }
    guest.counters.duplicates.add(count - settled);
    if (guest.waiting.size() == 0) {
      guest.counters.avoided.add(settled);
      return;
    }
    AddressList touched = new AddressList();
    guest.waiting.forEach(region, page, count, (same, one) -> touched.add(piece.addressOf(one)));
    for (int i = 0; i < touched.size(); i++) {
      Patience patience = new Patience();
      long refusal = resolveLocally(piece, touched.get(i));
      while (refusal != 0) {
        patience.again(-refusal);
        refusal = resolveLocally(piece, touched.get(i));
      }
    }
    int waited = guest.waiting.take(region, page, count, served);
    guest.counters.avoided.add(Math.max(0, settled - waited));
  }

  /**
   * Lets a thread go on that waits for a page which is not missing: with zeros, or with what is
   * there.
   *
   * @param address where its page (of the guest's kernel) begins
   * @return 0, or what to wait for, negated
   */
  long resolveLocally(MappedPiece piece, long address) throws IOException {
    int bytes = piece.pageSize();
    long done =
        bytes == PAGE
            ? userfaultfd.zeroPage(address, bytes)
            : userfaultfd.copy(address, zeros(bytes).address(), bytes);
    if (done > 0) {
      return 0;
    }
    return switch ((int) -done) {
      case Errno.EEXIST -> {
        userfaultfd.wake(address, bytes);
        yield 0;
      }
      case Errno.ENOENT -> 0;
      case Errno.ESRCH -> {
        guest.noteGone();
        yield 0;
      }
      case Errno.EAGAIN, Errno.ENOMEM -> done;
      default -> throw failed((int) -done);
    };
  }

  private @Nullable MemorySegment zeroGranule;

  private synchronized MemorySegment zeros(int bytes) {
    MemorySegment made = zeroGranule;
    if (made == null || made.byteSize() < bytes) {
      made = Arena.ofAuto().allocate(bytes, PAGE);
      zeroGranule = made;
    }
    return made;
  }
}
