package io.pageferry.guest.dirty;

import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.guest.image.PageRunConsumer;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * Finds written pages by comparing every page with what was last <em>sent</em> of it; needs nothing
 * from the kernel. Each collection reads all memory that is not a hole, the last one while the
 * guest stands still.
 *
 * <p>Comparing with an earlier scan instead would lose writes: a page that goes from A to B and
 * back to A between two scans may have been sent as B.
 *
 * <p>A hole is not read but compared as a page of zeros: a page that was sent with content and then
 * punched is dirty. A hole that was found to have been sent as zeros needs no second look while it
 * stays one, because a page that is not reported is not sent.
 */
public final class DigestTracker implements DirtyTracker {
  private static final int PAGE = ImageRegion.PAGE_BYTES;

  /** Read at a time: large enough for the call not to matter, small enough for the cache. */
  private static final int CHUNK_PAGES = 256;

  private final GuestImage image;
  private final SentContent sent;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment chunk = arena.allocate((long) CHUNK_PAGES * PAGE, PAGE);
  private final ByteBuffer chunkBuffer = chunk.asByteBuffer();
  private final MemorySegment zeros = arena.allocate(PAGE, PAGE);

  /** Found and not yet reported, by region. */
  private final List<PageSet> pending = new ArrayList<>();

  /** Holes known to have been sent as zeros, by region. */
  private final List<PageSet> sentHoles = new ArrayList<>();

  /**
   * Prepares; allocates 1 MiB.
   *
   * @param sent asked from the collecting thread, never while a round is being sent
   */
  public DigestTracker(GuestImage image, SentContent sent) throws IOException {
    this.image = image;
    this.sent = sent;
    for (ImageRegion region : image.regions()) {
      pending.add(new PageSet(region));
      sentHoles.add(new PageSet(region));
    }
  }

  @Override
  public String name() {
    return "digest";
  }

  /** What was not sent differs from what was. */
  @Override
  public boolean tellsRewrites() {
    return false;
  }

  /** Nothing has to be armed: whatever was sent is what the next collection compares with. */
  @Override
  public void arm() {
    pending.forEach(PageSet::clear);
    sentHoles.forEach(PageSet::clear);
  }

  /**
   * {@inheritDoc}
   *
   * @throws InterruptedIOException if the thread was interrupted, which it is not any more then;
   *     what was found is reported by the next collection
   */
  @Override
  public long collect(PageRunConsumer dirty) throws IOException {
    for (ImageRegion region : image.regions()) {
      compare(region);
    }
    // A page is read again, to be sent, only after it was reported: what the guest writes between
    // this comparison and that reading goes out with it, and what it writes later differs from what
    // was sent. That is this tracker's read after clear.
    long pages = 0;
    for (PageSet found : pending) {
      pages += found.drain(dirty);
    }
    return pages;
  }

  private void compare(ImageRegion region) throws IOException {
    PageSet found = pending.get(region.index());
    PageSet holes = sentHoles.get(region.index());
    long[] hole = {0};
    image.populatedRuns(
        region.index(),
        (index, first, count) -> {
          compareHole(region.index(), hole[0], first, found, holes);
          holes.remove(first, count);
          compareContent(region.index(), first, count, found);
          hole[0] = first + count;
        });
    compareHole(region.index(), hole[0], region.pages(), found, holes);
  }

  private void compareContent(int region, long firstPage, long count, PageSet found)
      throws IOException {
    for (long done = 0; done < count; done += CHUNK_PAGES) {
      stopIfInterrupted();
      int pages = (int) Math.min(CHUNK_PAGES, count - done);
      long first = firstPage + done;
      image.read(region, first, chunkBuffer.clear().limit(pages * PAGE));
      for (int i = 0; i < pages; i++) {
        if (sent.differs(region, first + i, chunk.asSlice((long) i * PAGE, PAGE))) {
          found.add(first + i, 1);
        }
      }
    }
  }

  private void compareHole(int region, long from, long to, PageSet found, PageSet known)
      throws InterruptedIOException {
    for (long page = known.firstAbsent(from); page < to; page = known.firstAbsent(page + 1)) {
      stopIfInterrupted();
      if (sent.differs(region, page, zeros)) {
        found.add(page, 1);
      } else {
        known.add(page, 1);
      }
    }
  }

  /** A look at a large image takes minutes, and a cancellation is not to wait for its end. */
  private static void stopIfInterrupted() throws InterruptedIOException {
    if (Thread.interrupted()) {
      throw new InterruptedIOException("the search for dirty pages was interrupted");
    }
  }

  /** Not known: counting would mean collecting. */
  @Override
  public long estimate() {
    return -1;
  }

  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
