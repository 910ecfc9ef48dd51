package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/**
 * PAGEMAP_SCAN on another process: which pages of an address range are in some state, asked of the
 * kernel's page tables, and write-protected again in the same step.
 *
 * <p>A scan with {@link Action#PROTECT} changes mark and answer atomically, page by page, under the
 * page table's lock, and has flushed every processor's translation before it returns. A store that
 * a processor completed before belongs to what a reader then sees; one that comes later faults and
 * sets the mark again.
 *
 * <p>Owned by one thread; {@link #close} by the same.
 */
public final class PageScan implements AutoCloseable {
  /** So many runs an ioctl returns at most; above 512 the kernel may stop short of the end. */
  private static final int RUNS = 4096;

  private final LinuxFile pagemap;
  private final Descriptor descriptor;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment argument = arena.allocate(Abi.PM_SCAN_ARG_BYTES, 8);
  private final MemorySegment runs = arena.allocate((long) RUNS * Abi.PAGE_REGION_BYTES, 8);

  /** What happens to the pages that are found. */
  public enum Action {
    /** Nothing. */
    LOOK,
    /** They are write-protected, that is: their mark is cleared. */
    PROTECT
  }

  /** Takes runs of addresses. */
  @FunctionalInterface
  public interface AddressRunConsumer {
    void run(long start, long end) throws IOException;
  }

  private PageScan(LinuxFile pagemap) {
    this.pagemap = pagemap;
    this.descriptor = pagemap.descriptor();
  }

  /**
   * Opens the page tables of a process.
   *
   * @throws LinuxException EACCES or EPERM without the right to trace it, ENOENT if it has ended
   */
  public static PageScan of(int pid) throws LinuxException {
    return new PageScan(LinuxFile.openToRead(Path.of("/proc/" + pid + "/pagemap")));
  }

  static PageScan ofSelf() throws LinuxException {
    return new PageScan(LinuxFile.openToRead(Path.of("/proc/self/pagemap")));
  }

  /** Write-protects the whole range, also where nothing is mapped yet, and reports nothing. */
  public void protectAll(long start, long end) throws IOException {
    long at = start;
    while (at < end) {
      long walked =
          walk(at, end, Abi.PM_SCAN_WP_MATCHING | Abi.PM_SCAN_CHECK_WPASYNC, 0, Categories.all(0));
      long next = argument.get(JAVA_LONG_UNALIGNED, Abi.PM_SCAN_WALK_END);
      if (walked == 0 && next <= at) {
        throw new IOException("PAGEMAP_SCAN does not move on from " + Long.toHexString(at));
      }
      at = next;
    }
  }

  /**
   * Reports the pages written since they were last write-protected.
   *
   * <p>The mask and the return mask are exactly WRITTEN and nothing else is asked for: in this form
   * the kernel counts a page without any entry in the page table as written. Such an entry comes
   * about when a page that was written, and therefore had lost its protection, is then taken out of
   * the page table (swap, reclaim, MADV_DONTNEED, a punched hole); a page that was still protected
   * leaves a marker behind that says so. With other masks that page's write would be lost.
   *
   * @return pages
   */
  public long written(long start, long end, Action action, AddressRunConsumer consumer)
      throws IOException {
    long flags =
        Abi.PM_SCAN_CHECK_WPASYNC | (action == Action.PROTECT ? Abi.PM_SCAN_WP_MATCHING : 0);
    return scan(start, end, flags, Categories.all(Abi.PAGE_IS_WRITTEN), consumer);
  }

  /** Reports the pages that are not mapped at this moment: never touched, reclaimed, punched. */
  public long absent(long start, long end, AddressRunConsumer consumer) throws IOException {
    long present = Abi.PAGE_IS_PRESENT;
    return scan(start, end, 0, new Categories(present, present, 0, present), consumer);
  }

  /** Reports the pages that have content in this process: in memory, or swapped out. */
  public long held(long start, long end, AddressRunConsumer consumer) throws IOException {
    long either = Abi.PAGE_IS_PRESENT | Abi.PAGE_IS_SWAPPED;
    return scan(start, end, 0, new Categories(0, 0, either, either), consumer);
  }

  /** Whether the page at this address is in a mapping under asynchronous write protection. */
  public boolean isWatched(long address) throws IOException {
    Categories allowed = Categories.all(Abi.PAGE_IS_WPALLOWED);
    return scan(address, address + 4096, 0, allowed, (from, to) -> {}) > 0;
  }

  /** Whether the ioctl works with these categories; EINVAL or ENOTTY say that it does not. */
  void probe(long start, long end, long categories) throws IOException {
    scan(start, end, 0, new Categories(categories, categories, 0, categories), (from, to) -> {});
  }

  /**
   * Which pages are looked for.
   *
   * @param inverted counted as if they had the opposite value
   * @param mask a page must have all of these
   * @param anyOf and at least one of these, unless it is 0
   * @param returned by these the answer is cut into runs
   */
  private record Categories(long inverted, long mask, long anyOf, long returned) {
    static Categories all(long mask) {
      return new Categories(0, mask, 0, mask);
    }
  }

  private long scan(
      long start, long end, long flags, Categories categories, AddressRunConsumer consumer)
      throws IOException {
    long pages = 0;
    long at = start;
    // One call need not reach the end: it stops when the vector is full. And with more than 512
    // runs it may answer with an end of its walk that lies before runs which it has reported.
    // Going on from there would report a page twice, if it was written meanwhile, and a page that
    // is sent twice in one round may land in the wrong order. So: from the later of the two, until
    // that is the end.
    while (at < end) {
      int found = walk(at, end, flags, RUNS, categories);
      long next = argument.get(JAVA_LONG_UNALIGNED, Abi.PM_SCAN_WALK_END);
      for (int i = 0; i < found; i++) {
        long run = (long) i * Abi.PAGE_REGION_BYTES;
        long from = runs.get(JAVA_LONG_UNALIGNED, run);
        long to = runs.get(JAVA_LONG_UNALIGNED, run + Abi.PAGE_REGION_END);
        pages += (to - from) / 4096;
        next = Math.max(next, to);
        consumer.run(from, to);
      }
      if (next <= at) {
        throw new IOException("PAGEMAP_SCAN does not move on from " + Long.toHexString(at));
      }
      at = next;
    }
    return pages;
  }

  private int walk(long start, long end, long flags, int room, Categories categories)
      throws IOException {
    argument.fill((byte) 0);
    argument.set(JAVA_LONG_UNALIGNED, Abi.PM_SCAN_SIZE, Abi.PM_SCAN_ARG_BYTES);
    argument.set(JAVA_LONG_UNALIGNED, Abi.PM_SCAN_FLAGS, flags);
    argument.set(JAVA_LONG_UNALIGNED, Abi.PM_SCAN_START, start);
    argument.set(JAVA_LONG_UNALIGNED, Abi.PM_SCAN_END, end);
    argument.set(JAVA_LONG_UNALIGNED, Abi.PM_SCAN_VEC, room == 0 ? 0 : runs.address());
    argument.set(JAVA_LONG_UNALIGNED, Abi.PM_SCAN_VEC_LEN, room);
    argument.set(JAVA_LONG_UNALIGNED, Abi.PM_SCAN_CATEGORY_INVERTED, categories.inverted());
    argument.set(JAVA_LONG_UNALIGNED, Abi.PM_SCAN_CATEGORY_MASK, categories.mask());
    argument.set(JAVA_LONG_UNALIGNED, Abi.PM_SCAN_CATEGORY_ANYOF_MASK, categories.anyOf());
    argument.set(JAVA_LONG_UNALIGNED, Abi.PM_SCAN_RETURN_MASK, categories.returned());
    int number = descriptor.acquire();
    try {
      return (int)
          LinuxCalls.check(
              LinuxCalls.ioctl(number, Abi.PAGEMAP_SCAN, argument), "ioctl(PAGEMAP_SCAN)");
    } finally {
      descriptor.release();
    }
  }

  @Override
  public void close() {
    pagemap.close();
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
