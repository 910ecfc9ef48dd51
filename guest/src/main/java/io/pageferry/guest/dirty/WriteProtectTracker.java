package io.pageferry.guest.dirty;

import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.MappedPiece;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.guest.image.PageRunConsumer;
import io.pageferry.guest.image.PopulatedRuns;
import io.pageferry.guest.linux.Errno;
import io.pageferry.guest.linux.KernelFeatures;
import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.PageScan;
import io.pageferry.guest.linux.PageScan.Action;
import io.pageferry.guest.linux.ProcessMaps;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The kernel's own record of which pages the guest wrote: userfaultfd write protection in
 * asynchronous mode on the guest's mapping, read and renewed by PAGEMAP_SCAN on the guest's
 * process.
 *
 * <p>The races, and why no write is lost, are in the description of this package. A huge page is
 * one mark: all its pages of 4096 bytes are reported together.
 *
 * <p>Costs for a GiB: 0.4 ms when nothing was written, 11 ms when everything was, and 0.6 ms for
 * finding punched holes.
 */
public final class WriteProtectTracker implements DirtyTracker {
  private final GuestHandover handover;
  private final GuestImage image;
  private final List<MappedPiece> pieces;
  private final PageScan scan;

  /** Found and not yet reported, by region. Survives a collection that fails. */
  private final List<PageSet> pending = new ArrayList<>();

  /** Where the file has or may have content, by region: what a punched hole is told by. */
  private final List<PageSet> content = new ArrayList<>();

  /**
   * Prepares to follow what the guest handed over, which from now on belongs to this tracker.
   *
   * @throws IOException if it cannot be followed; the handover stays the caller's then
   */
  public WriteProtectTracker(GuestHandover handover, GuestImage image) throws IOException {
    this.handover = handover;
    this.image = image;
    KernelFeatures kernel = KernelFeatures.probed();
    kernel.require(KernelFeatures.PAGEMAP_SCAN);
    for (ImageRegion region : image.regions()) {
      if (region.pageSize() > ImageRegion.PAGE_BYTES) {
        kernel.require(KernelFeatures.HUGE_PAGE_TRACKING);
      }
      pending.add(new PageSet(region));
      content.add(new PageSet(region));
    }
    pieces = MappedPiece.of(handover.regions(), image);
    try {
      List<ProcessMaps.Mapping> mappings = ProcessMaps.of(handover.pid());
      for (MappedPiece piece : pieces) {
        piece.requireMapped(mappings, image);
      }
      scan = PageScan.of(handover.pid());
    } catch (IOException e) {
      throw explained(e);
    }
  }

  @Override
  public String name() {
    return "userfaultfd-wp";
  }

  @Override
  public boolean tellsRewrites() {
    return true;
  }

  @Override
  public void arm() throws IOException {
    try {
      for (MappedPiece piece : pieces) {
        scan.protectAll(piece.start(), piece.end());
      }
      requireGuest();
    } catch (IOException e) {
      throw explained(e);
    }
    for (ImageRegion region : image.regions()) {
      pending.get(region.index()).clear();
      PageSet known = content.get(region.index());
      known.clear();
      // After the protection: what is written from here on is reported, and counts as content then.
      image.populatedRuns(region.index(), (index, first, count) -> known.add(first, count));
    }
  }

  @Override
  public long collect(PageRunConsumer dirty) throws IOException {
    try {
      for (MappedPiece piece : pieces) {
        PageSet found = pending.get(piece.region());
        PageSet known = content.get(piece.region());
        scan.written(
            piece.start(),
            piece.end(),
            Action.PROTECT,
            (from, to) -> {
              found.add(piece.pageAt(from), (to - from) / ImageRegion.PAGE_BYTES);
              known.add(piece.pageAt(from), (to - from) / ImageRegion.PAGE_BYTES);
            });
      }
      for (MappedPiece piece : pieces) {
        // A hole in hugetlbfs leaves no marker behind, and was reported as written above.
        if (pageSize(piece) == ImageRegion.PAGE_BYTES) {
          findPunched(piece);
        }
      }
      requireGuest();
    } catch (IOException e) {
      throw explained(e);
    }
    // Every mark is cleared by now. Only from here on may anybody read: read after clear.
    long pages = 0;
    for (PageSet found : pending) {
      pages += found.drain(dirty);
    }
    return pages;
  }

  /** Adds the pages that had content and are a hole now to those found. */
  private void findPunched(MappedPiece piece) throws IOException {
    int region = piece.region();
    PageSet found = pending.get(region);
    PageSet known = content.get(region);
    PopulatedRuns populated = image.populatedRuns(region);
    scan.absent(
        piece.start(),
        piece.end(),
        (from, to) ->
            known.forEachRun(
                piece.pageAt(from),
                (to - from) / ImageRegion.PAGE_BYTES,
                (index, first, count) ->
                    eachHole(
                        populated,
                        region,
                        first,
                        count,
                        (same, hole, pages) -> {
                          found.add(hole, pages);
                          known.remove(hole, pages);
                        })));
  }

  private static void eachHole(
      PopulatedRuns populated, int region, long first, long count, PageRunConsumer holes)
      throws IOException {
    long[] at = {first};
    populated.within(
        first,
        count,
        (index, data, length) -> {
          if (data > at[0]) {
            holes.run(region, at[0], data - at[0]);
          }
          at[0] = data + length;
        });
    if (first + count > at[0]) {
      holes.run(region, at[0], first + count - at[0]);
    }
  }

  @Override
  public long estimate() throws IOException {
    try {
      long pages = 0;
      for (MappedPiece piece : pieces) {
        pages += scan.written(piece.start(), piece.end(), Action.LOOK, (from, to) -> {});
      }
      requireGuest();
      return pages;
    } catch (IOException e) {
      throw explained(e);
    }
  }

  /**
   * To be called after a scan. A process that ends loses its mappings before its descriptors close,
   * and a scan of what is no longer mapped finds nothing written.
   */
  private void requireGuest() throws IOException {
    if (handover.guestGone()) {
      throw gone(null);
    }
    for (MappedPiece piece : pieces) {
      if (!scan.isWatched(piece.start()) || !scan.isWatched(piece.end() - pageSize(piece))) {
        throw gone(null);
      }
    }
  }

  private int pageSize(MappedPiece piece) {
    return image.regions().get(piece.region()).pageSize();
  }

  private GuestGoneException gone(@Nullable Throwable cause) {
    String sentence = "the guest's process " + handover.pid() + " has ended";
    return cause == null
        ? new GuestGoneException(sentence)
        : new GuestGoneException(sentence, cause);
  }

  private IOException explained(IOException e) {
    if (e instanceof GuestGoneException) {
      return e;
    }
    if (handover.guestGone()
        || (e instanceof LinuxException failed && failed.errno() == Errno.ESRCH)) {
      return gone(e);
    }
    if (e instanceof LinuxException failed
        && (failed.errno() == Errno.EACCES || failed.errno() == Errno.EPERM)) {
      return new IOException(
          "not permitted to read the page tables of the guest's process %d: run as its user, or"
                  .formatted(handover.pid())
              + " with CAP_SYS_PTRACE",
          e);
    }
    return e;
  }

  @Override
  public void close() {
    handover.unregister();
    scan.close();
    handover.close();
  }
}
