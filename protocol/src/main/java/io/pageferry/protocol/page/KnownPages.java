package io.pageferry.protocol.page;

import io.pageferry.protocol.message.Recalled;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * What the target says that it still has of a guest's memory, by digest and page by page: while the
 * first round is sent, a page whose content is the same goes by name only, and of one that has
 * changed only the parts that have.
 *
 * <p>The series of digests ascends, as the round does. {@link #await} lets a sender wait until it
 * has come as far as the pages that are to be sent next.
 *
 * <p>Holds 64 bytes for each page that the target has, off the heap, a megabyte at a time.
 *
 * <p>Threading: {@link #take} and {@link #close} by one thread; the rest by any number of senders,
 * none of which may be at work when it is closed.
 */
public final class KnownPages implements AutoCloseable {
  private static final int DIGEST = Recalled.DIGEST_BYTES;

  /** Pages of one table: a megabyte of digests. */
  private static final int TABLE = 1 << 14;

  /** A part's digest; only compared. */
  private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG_UNALIGNED;

  private final Arena arena = Arena.ofShared();
  private final ImageLayout layout;
  private final byte[] salt;

  /** For each region the number of its first page among all pages. */
  private final long[] offsets;

  /** For each region tables of {@link #TABLE} pages, made for a first digest in them. */
  private final @Nullable MemorySegment[][] named;

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
    this.named =
        layout.regions().stream()
            .map(region -> new MemorySegment[Math.toIntExact((region.pages() + TABLE - 1) / TABLE)])
            .toArray(MemorySegment[][]::new);
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
    if (said.pages() > 0) {
      try {
        keep(said);
      } catch (OutOfMemoryError e) {
        // Without the memory for them pages are sent; it is not what a migration fails of.
        rest();
        return;
      }
      any = true;
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

  private void keep(Recalled said) {
    @Nullable MemorySegment[] tables = named[said.region()];
    for (long page = said.firstPage(); page < said.endPage(); ) {
      int number = (int) (page / TABLE);
      int count = (int) (Math.min(said.endPage(), (number + 1L) * TABLE) - page);
      MemorySegment table = tables[number];
      if (table == null) {
        table = arena.allocate((long) TABLE * DIGEST, Long.BYTES);
        tables[number] = table;
      }
      int from = Math.toIntExact((page - said.firstPage()) * DIGEST);
      MemorySegment.copy(
          said.digests(),
          from,
          table,
          ValueLayout.JAVA_BYTE,
          page % TABLE * DIGEST,
          count * DIGEST);
      page += count;
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
    if (resting || offsets[region] + page >= frontier) {
      return PageParts.ALL;
    }
    MemorySegment there = named[region][(int) (page / TABLE)];
    long begin = page % TABLE * DIGEST;
    if (there == null || ZeroPages.isZero(there, begin, DIGEST)) {
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
    for (@Nullable MemorySegment[] tables : named) {
      Arrays.fill(tables, null);
    }
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
