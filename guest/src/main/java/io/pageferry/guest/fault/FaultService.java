package io.pageferry.guest.fault;

import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.GuestRegion;
import io.pageferry.guest.handover.MappedPiece;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.PageRunConsumer;
import io.pageferry.guest.linux.Errno;
import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.ProcessMaps;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Lets a guest run before its memory has come: faults of missing pages go to a {@link FaultSink},
 * and pages land in the guest's memory while it runs. One a migration; the description of this
 * package says what may happen at the same time as what.
 *
 * <p>Threading: a thread of its own reads faults, unless a {@link FaultWatch} does. Any number of
 * threads may land pages. {@link #finish} and {@link #close} belong to one owner, who first sees to
 * it that nobody lands any more (a landing that comes too late fails).
 */
public final class FaultService implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(FaultService.class);
  private static final int PAGE = ServedGuest.PAGE;
  private static final Duration END = Duration.ofSeconds(10);

  private final ServedGuest guest;
  private final PageArrival arrival;
  private final FaultReader reader;
  private final Thread thread;

  private FaultService(ServedGuest guest, FaultSink sink) {
    this.guest = guest;
    this.arrival = new PageArrival(guest, sink);
    this.reader = new FaultReader(guest, arrival, new PageRequests(guest, sink), sink);
    this.thread = Thread.ofPlatform().name("faults").daemon().unstarted(reader);
  }

  /**
   * Checks that a guest whose memory lies in files has mapped them where it says; takes
   * milliseconds.
   *
   * @throws IOException if it has mapped something else than the image
   */
  public static void requireMapped(GuestHandover handover, GuestImage image) throws IOException {
    List<MappedPiece> pieces = MappedPiece.of(handover.regions(), image);
    List<ProcessMaps.Mapping> mappings = mappings(handover);
    for (MappedPiece piece : pieces) {
      piece.requireMapped(mappings, image);
    }
  }

  /**
   * Begins to serve a guest whose memory lies in files, as the other; checks that first.
   *
   * @throws IOException if the guest has mapped something else than the image
   */
  public static FaultService start(
      GuestHandover handover, GuestImage image, MissingPages missing, FaultSink sink)
      throws IOException {
    requireMapped(handover, image);
    return start(handover, GuestRegion.of(image), missing, sink);
  }

  /**
   * Begins to serve a guest of which is known that its memory is where it says.
   *
   * <p>Threads of the guest that wait already, because an earlier agent died, are woken: those
   * whose page is not there fault again.
   *
   * @param handover this service's from now on, unless this throws
   * @param missing complete; nothing may be added any more
   */
  public static FaultService start(
      GuestHandover handover, List<GuestRegion> regions, MissingPages missing, FaultSink sink)
      throws IOException {
    List<MappedPiece> pieces = MappedPiece.of(handover.regions(), regions);
    ServedGuest guest = new ServedGuest(handover, pieces, missing);
    for (MappedPiece piece : pieces) {
      guest.userfaultfd.wake(piece.start(), piece.end() - piece.start());
    }
    FaultService service = new FaultService(guest, sink);
    service.thread.start();
    return service;
  }

  private static List<ProcessMaps.Mapping> mappings(GuestHandover handover) throws IOException {
    try {
      return ProcessMaps.of(handover.pid());
    } catch (LinuxException e) {
      if (e.errno() == Errno.EACCES || e.errno() == Errno.EPERM) {
        throw new IOException(
            "not permitted to see what the guest's process %d has mapped: run as its user, or with"
                    .formatted(handover.pid())
                + " CAP_SYS_PTRACE",
            e);
      }
      throw e;
    }
  }

  /**
   * Lands pages of one region. Those that are not missing, because they came before or because the
   * guest has given them back, are skipped.
   *
   * <p>Waits while the guest gives memory back, some microseconds.
   *
   * @param address of their content, off heap, borrowed for the call; need not be aligned
   * @param pages of 4096 bytes
   * @param landed gets the runs of them that came into the guest by this call, on this thread and
   *     outside of any lock; of a huge page, what was gathered of it for the first time
   * @throws io.pageferry.guest.dirty.GuestGoneException if the guest's process has ended
   * @throws IOException if the kernel does not take them, or this service was closed
   */
  public void land(int region, long firstPage, long address, long pages, PageRunConsumer landed)
      throws IOException {
    requireInRegion(region, firstPage, pages);
    arrival.land(region, firstPage, address, pages, landed);
  }

  /**
   * As the other.
   *
   * @param pages off heap, from its position to its limit; the position is moved to the limit
   */
  public void land(int region, long firstPage, ByteBuffer pages, PageRunConsumer landed)
      throws IOException {
    if (!pages.isDirect() || pages.remaining() % PAGE != 0) {
      throw new IllegalArgumentException("not whole pages off heap: " + pages);
    }
    try {
      land(
          region,
          firstPage,
          MemorySegment.ofBuffer(pages).address(),
          pages.remaining() / (long) PAGE,
          landed);
    } finally {
      Reference.reachabilityFence(pages);
    }
    pages.position(pages.limit());
  }

  /**
   * Declares pages of one region to be zero. They take no memory until the guest touches them.
   *
   * @param landed gets the runs of them that were missing until now, as in {@link #land}
   * @throws IOException as {@link #land}
   */
  public void landZero(int region, long firstPage, long count, PageRunConsumer landed)
      throws IOException {
    requireInRegion(region, firstPage, count);
    arrival.landZero(region, firstPage, count, landed);
  }

  private void requireInRegion(int region, long firstPage, long count) {
    Objects.checkIndex(region, guest.missing.regions());
    Objects.checkFromIndexSize(firstPage, count, guest.missing.pages(region));
  }

  /**
   * Has somebody else's thread read the faults.
   *
   * @throws IOException if this service was closed, or the descriptor is none that can be waited on
   */
  public FaultWatch watch() throws IOException {
    // One that polls with an error blocks whoever reads it.
    var _ = guest.userfaultfd.poll(0);
    return new FaultWatch(reader, guest.userfaultfd.descriptor());
  }

  /** Pages that are still missing. */
  public long missing() {
    return guest.missing.count();
  }

  /**
   * Completes when no page is missing any more, on the thread that landed the last one: go on
   * elsewhere. Never fails.
   */
  public CompletableFuture<Void> complete() {
    return guest.complete.copy();
  }

  /** Asks again for every page that somebody waits for. */
  public void repeatRequests() {
    reader.repeatRequests();
  }

  /** How long the oldest request has gone without its page, in nanoseconds; 0 without any. */
  public long oldestRequestNanos() {
    return guest.waiting.oldestNanos(System.nanoTime());
  }

  public FaultStatistics statistics() {
    return guest.counters.snapshot(guest.waiting.size());
  }

  /** Whether the guest's process has ended, as far as anybody here has noticed. */
  public boolean guestGone() {
    return guest.gone();
  }

  /**
   * Ends the watch over the guest's memory: what is not there is zero from now on. To be closed
   * when that is on disk, because a guest that was attached to keeps nothing to take up again then.
   *
   * @throws IllegalStateException if pages are missing and the guest lives
   */
  public void finish() {
    if (guest.missing.count() != 0 && !guest.gone()) {
      throw new IllegalStateException(guest.missing.count() + " pages are missing");
    }
    // The reader goes on until nothing new can be queued: who gives pages back waits to be read.
    guest.handover.unregister();
  }

  /**
   * Stops serving and leaves the guest's memory as it is: threads that touch a missing page wait
   * for the next service.
   */
  @Override
  public void close() {
    reader.stop();
    boolean interrupted = false;
    try {
      if (!Thread.currentThread().equals(thread) && !thread.join(END)) {
        LOG.warn("the reader of page faults does not end");
      }
    } catch (InterruptedException e) {
      interrupted = true;
    }
    guest.handover.close();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
