package io.pageferry.guest.fault;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.GuestRegion;
import io.pageferry.guest.handover.MappedPiece;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.guest.image.PageRunConsumer;
import io.pageferry.guest.linux.PageScan;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Which pages must still come from the source: a bit a page, in a mapped file, so that what is
 * known survives the sudden death of this process (not that of the host, which the guest does not
 * survive either). 32 KiB for a GiB.
 *
 * <p>A page whose bit is clear is there, or reads as zeros.
 *
 * <p>Layout, in words of 8 bytes of this machine's order: {@link #MAGIC}, the number of regions,
 * the pages of each, then the bits of each region, from a new word on.
 *
 * <p>Any thread; each bit is set and cleared atomically. The mapping lasts as long as the object is
 * reachable.
 */
public final class MissingPages {
  private static final long MAGIC = 0x3130_5353_494d_4650L; // "PFMISS01"
  private static final int MAX_REGIONS = 1024;
  private static final VarHandle WORD = JAVA_LONG.varHandle();

  private final MemorySegment file;
  private final long[] regionPages;

  /** Where each region's bits begin, in bytes. */
  private final long[] offsets;

  private final AtomicLongArray counts;

  private MissingPages(MemorySegment file, long[] regionPages, long[] offsets) {
    this.file = file;
    this.regionPages = regionPages;
    this.offsets = offsets;
    this.counts = new AtomicLongArray(regionPages.length);
  }

  /**
   * Makes the file anew, readable by its owner only; nothing is missing.
   *
   * @param regionPages the pages of 4096 bytes of each region
   */
  public static MissingPages create(Path path, List<Long> regionPages) throws IOException {
    Files.deleteIfExists(path);
    Files.createFile(
        path, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    long[] pages = pages(regionPages);
    long[] offsets = new long[pages.length];
    MemorySegment file = map(path, layout(pages, offsets));
    for (int i = 0; i < pages.length; i++) {
      file.set(JAVA_LONG, 16 + 8L * i, pages[i]);
    }
    file.set(JAVA_LONG, 8, pages.length);
    file.set(JAVA_LONG, 0, MAGIC);
    return new MissingPages(file, pages, offsets);
  }

  /**
   * Opens what an agent that died has left.
   *
   * @throws IOException if there is no such file, or it is not about these regions
   */
  public static MissingPages reopen(Path path, List<Long> regionPages) throws IOException {
    long[] pages = pages(regionPages);
    long[] offsets = new long[pages.length];
    long bytes = layout(pages, offsets);
    if (Files.size(path) != bytes) {
      throw notOurs(path);
    }
    MemorySegment file = map(path, bytes);
    boolean ours = file.get(JAVA_LONG, 0) == MAGIC && file.get(JAVA_LONG, 8) == regionPages.size();
    for (int i = 0; ours && i < pages.length; i++) {
      ours = file.get(JAVA_LONG, 16 + 8L * i) == pages[i];
    }
    if (!ours) {
      throw notOurs(path);
    }
    MissingPages reopened = new MissingPages(file, pages, offsets);
    for (int region = 0; region < pages.length; region++) {
      long count = 0;
      for (long at = 0; at < words(pages[region]); at++) {
        count += Long.bitCount(file.get(JAVA_LONG, offsets[region] + 8 * at));
      }
      reopened.counts.set(region, count);
    }
    return reopened;
  }

  private static IOException notOurs(Path path) {
    return new IOException(path + " does not list the missing pages of this guest");
  }

  private static long[] pages(List<Long> regionPages) {
    if (regionPages.isEmpty() || regionPages.size() > MAX_REGIONS) {
      throw new IllegalArgumentException(regionPages.size() + " regions");
    }
    return regionPages.stream().mapToLong(Long::longValue).toArray();
  }

  private static long words(long pages) {
    return (pages + 63) / 64;
  }

  private static long layout(long[] pages, long[] offsets) {
    long at = 16 + 8L * pages.length;
    for (int i = 0; i < pages.length; i++) {
      offsets[i] = at;
      at += 8 * words(pages[i]);
    }
    return at;
  }

  private static MemorySegment map(Path path, long bytes) throws IOException {
    try (FileChannel channel =
        FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      // Never unmapped by hand: a landing may be looking.
      return channel.map(MapMode.READ_WRITE, 0, bytes, Arena.ofAuto());
    }
  }

  int regions() {
    return regionPages.length;
  }

  /** Pages of a region, missing or not. */
  long pages(int region) {
    return regionPages[region];
  }

  /** Marks pages as missing. Not while a {@link FaultService} is at work on them. */
  public void add(int region, long firstPage, long count) {
    Objects.checkFromIndexSize(firstPage, count, regionPages[region]);
    long firstWord = (firstPage + 63) / 64;
    long words = (firstPage + count) / 64 - firstWord;
    if (counts.get(region) != 0 || words <= 0) {
      change(region, firstPage, count, true);
      return;
    }
    // A memory that is missing as a whole is named while the guest stands still, or just before.
    file.asSlice(offsets[region] + 8 * firstWord, 8 * words).fill((byte) -1);
    counts.addAndGet(region, 64 * words);
    change(region, firstPage, firstWord * 64 - firstPage, true);
    long end = (firstWord + words) * 64;
    change(region, end, firstPage + count - end, true);
  }

  /**
   * Marks pages as there, or zero.
   *
   * @return how many of them were missing
   */
  public long remove(int region, long firstPage, long count) {
    return change(region, firstPage, count, false);
  }

  private long change(int region, long firstPage, long count, boolean missing) {
    Objects.checkFromIndexSize(firstPage, count, regionPages[region]);
    long changed = 0;
    long page = firstPage;
    long end = firstPage + count;
    while (page < end) {
      int bit = (int) (page & 63);
      int bits = (int) Math.min(64 - bit, end - page);
      long mask = (bits == 64 ? -1L : (1L << bits) - 1) << bit;
      long at = offsets[region] + page / 64 * 8;
      if (missing) {
        long before = (long) WORD.getAndBitwiseOr(file, at, mask);
        changed += Long.bitCount(~before & mask);
      } else if (((long) WORD.getVolatile(file, at) & mask) != 0) {
        long before = (long) WORD.getAndBitwiseAnd(file, at, ~mask);
        changed += Long.bitCount(before & mask);
      }
      page += bits;
    }
    if (changed != 0) {
      counts.addAndGet(region, missing ? changed : -changed);
    }
    return changed;
  }

  public boolean contains(int region, long page) {
    return (word(region, page) >>> (page & 63) & 1) != 0;
  }

  private long word(int region, long page) {
    return (long) WORD.getVolatile(file, offsets[region] + page / 64 * 8);
  }

  /** The first missing page at or behind {@code page}, or {@code end} if none is before it. */
  long nextMissing(int region, long page, long end) {
    return next(region, page, end, 0);
  }

  /** The first page at or behind {@code page} that is not missing, or {@code end}. */
  long nextPresent(int region, long page, long end) {
    return next(region, page, end, -1L);
  }

  private long next(int region, long page, long end, long inverted) {
    long at = page;
    while (at < end) {
      long word = (word(region, at) ^ inverted) >>> (at & 63);
      if (word != 0) {
        return Math.min(end, at + Long.numberOfTrailingZeros(word));
      }
      at = (at & -64) + 64;
    }
    return end;
  }

  /** How many are missing in all regions together. */
  public long count() {
    long sum = 0;
    for (int region = 0; region < regionPages.length; region++) {
      sum += counts.get(region);
    }
    return sum;
  }

  /** How many are missing in one region. */
  public long count(int region) {
    return counts.get(region);
  }

  /** Reports the missing pages of a region as runs, in order. */
  public void forEachRun(int region, PageRunConsumer runs) throws IOException {
    long end = regionPages[region];
    long first = nextMissing(region, 0, end);
    while (first < end) {
      long past = nextPresent(region, first, end);
      runs.run(region, first, past - first);
      first = nextMissing(region, past, end);
    }
  }

  /**
   * Takes out what is in the image's files. Only after {@link #reopen}: what the dead agent landed
   * last it may not have noted. Huge pages stay as they are, for their file system does not tell;
   * they are found there when they come again.
   */
  public void removePresent(GuestImage image) throws IOException {
    for (ImageRegion region : image.regions()) {
      if (region.pageSize() == ImageRegion.PAGE_BYTES) {
        image.populatedRuns(region.index(), this::remove);
      }
    }
  }

  /**
   * Takes out what is in the memory of the guest's process; as {@link #removePresent(GuestImage)},
   * for memory that is not in files.
   *
   * @throws IOException without the right to trace that process; what is there is then found when
   *     it comes again
   */
  public void removePresent(GuestHandover handover, List<GuestRegion> regions) throws IOException {
    try (PageScan scan = PageScan.of(handover.pid())) {
      for (MappedPiece piece : MappedPiece.of(handover.regions(), regions)) {
        scan.held(
            piece.start(),
            piece.end(),
            (from, to) ->
                remove(piece.region(), piece.pageAt(from), (to - from) / ImageRegion.PAGE_BYTES));
      }
    }
  }
}
