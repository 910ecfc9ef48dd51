package io.pageferry.protocol.page;

import io.pageferry.protocol.message.Recalled;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;

/**
 * What the target says that it still has of a guest's memory, by digest and page by page: while the
 * first round is sent, a page whose content is the same goes by name only, and of one that has
 * changed only the parts that have.
 *
 * <p>The series of digests ascends, as the round does. {@link #await} lets a sender wait until it
 * has come as far as the pages that are to be sent next.
 *
 * <p>Holds 64 bytes for each page of the guest, off the heap, from the first digest on.
 *
 * <p>Threading: {@link #take} and {@link #close} by one thread; the rest by any number of senders,
 * none of which may be at work when it is closed.
 */
public final class KnownPages implements AutoCloseable {
  private static final int DIGEST = Recalled.DIGEST_BYTES;

  /** A part's digest; only compared. */
  private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG_UNALIGNED;

  private final Arena arena = Arena.ofShared();
  private final ImageLayout layout;
  private final byte[] salt;

  /** For each region the number of its first page among all pages. */
  private final long[] offsets;

  /** A table a region, made for the first digest; published by {@link #frontier}. */
  private MemorySegment[] named = {};

  /** All pages before this one, counted over all regions, have been spoken of. */
  private volatile long frontier;

  private volatile boolean complete;
  private volatile boolean resting;
  private boolean any;

  /**
   * @param salt of this migration; not copied: nobody may change it
   */
  public KnownPages(ImageLayout layout, byte[] salt) {
    this.layout = layout;
    this.salt = salt;
    this.offsets = new long[layout.regions().size()];
    for (int region = 1; region < offsets.length; region++) {
      offsets[region] = offsets[region - 1] + layout.regions().get(region - 1).pages();
    }
  }

  /** For one sender. */
  PartDigests digests() {
    return new PartDigests(salt);
  }

  /**
   * The target has spoken; checked by the conversation, so that it ascends and lies within the
   * layout.
   */
  public void take(Recalled said) {
    if (resting) {
      return;
    }
    if (said.pages() > 0 && !makeTables()) {
      rest();
      return;
    }
    if (said.pages() > 0) {
      any = true;
      MemorySegment.copy(
          said.digests(),
          0,
          named[said.region()],
          ValueLayout.JAVA_BYTE,
          said.firstPage() * DIGEST,
          said.digests().length);
      frontier = offsets[said.region()] + said.endPage();
    }
    if (said.last()) {
      frontier = Long.MAX_VALUE;
      complete = true;
    }
    synchronized (this) {
      notifyAll();
    }
  }

  /** Without the memory for them pages are sent; it is not what a migration fails of. */
  private boolean makeTables() {
    if (named.length > 0) {
      return true;
    }
    try {
      named =
          layout.regions().stream()
              .map(region -> arena.allocate(region.pages() * DIGEST, Long.BYTES))
              .toArray(MemorySegment[]::new);
      return true;
    } catch (OutOfMemoryError e) {
      return false;
    }
  }

  /** Nothing is looked for any more, and nobody waits. */
  public void rest() {
    resting = true;
    synchronized (this) {
      notifyAll();
    }
  }

  /** Whether more may come, and somebody may have use for it. */
  public boolean open() {
    return !complete && !resting;
  }

  /** Whether nothing will be found. */
  public boolean resting() {
    return resting || (complete && !any);
  }

  /** How many pages, counted over all regions, have been spoken of. */
  public long frontier() {
    return Math.min(frontier, layout.pages());
  }

  /** Waits until the target has spoken of all pages before this one, or will not. */
  public void await(int region, long endPage) throws InterruptedException {
    long wanted = offsets[region] + endPage;
    if (frontier >= wanted || resting) {
      return;
    }
    synchronized (this) {
      while (frontier < wanted && !resting) {
        wait();
      }
    }
  }

  /**
   * Which parts of a page the target lacks.
   *
   * @param digests the sender's own
   * @param memory has the page as it would be sent, from {@code at} on; nobody changes it
   * @return bit i set for part i; 0 if the target has this very content, {@link PageParts#ALL} if
   *     it has nothing of it
   */
  int lacking(int region, long page, PartDigests digests, ByteBuffer memory, int at) {
    if (resting || offsets[region] + page >= frontier || named.length == 0) {
      return PageParts.ALL;
    }
    MemorySegment there = named[region];
    long begin = page * DIGEST;
    if (ZeroPages.isZero(there, begin, DIGEST)) {
      return PageParts.ALL;
    }
    MemorySegment own = MemorySegment.ofArray(digests.of(memory, at));
    int lacking = 0;
    for (int part = 0; part < PageParts.PARTS; part++) {
      long of = (long) part * Recalled.PART_DIGEST_BYTES;
      if (there.get(WORD, begin + of) != own.get(WORD, of)) {
        lacking |= 1 << part;
      }
    }
    return lacking;
  }

  /** Gives the memory back; may be called again. */
  @Override
  public void close() {
    rest();
    named = new MemorySegment[0];
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
