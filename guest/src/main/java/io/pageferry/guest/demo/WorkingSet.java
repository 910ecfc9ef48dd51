package io.pageferry.guest.demo;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The pages that the guest writes: the first ones of every region, the same number in each. Their
 * generations are kept here and not in the guest's memory, so they travel with the registers and an
 * old copy of a page cannot vouch for itself.
 *
 * <p>Off the heap, four bytes a page. One thread at a time.
 */
final class WorkingSet {
  /** More would not fit into a device state of 64 MiB: 32 GiB of working set. */
  static final long MAX_PAGES = 8L << 20;

  private final long pages;
  private final long perRegion;
  private final long regionPages;
  private final int regions;
  private final MemorySegment generations;

  /**
   * Takes at least one page of each region and at most all.
   *
   * @param wanted pages; rounded down to the same number in each region
   */
  WorkingSet(GuestMemory memory, long wanted) {
    this.regions = memory.regionCount();
    this.regionPages = memory.regionPages();
    this.perRegion =
        Math.max(1, Math.min(Math.min(wanted, MAX_PAGES) / regions, memory.regionPages()));
    this.pages = perRegion * regions;
    this.generations = Arena.ofAuto().allocate(pages * Integer.BYTES, Integer.BYTES);
    for (long i = 0; i < pages; i++) {
      setGeneration(i, 1);
    }
  }

  long pages() {
    return pages;
  }

  /** The page of the guest that is number {@code index} of the working set. */
  long page(long index) {
    return regions == 1 ? index : index / perRegion * regionPages + index % perRegion;
  }

  /** The number of a page in the working set; −1 when it is not part of it. */
  long indexOf(long page) {
    if (regions == 1) {
      return page < pages ? page : -1;
    }
    long region = Math.min(page / regionPages, regions - 1);
    long inRegion = page - region * regionPages;
    return inRegion < perRegion ? region * perRegion + inRegion : -1;
  }

  int generation(long index) {
    return generations.getAtIndex(ValueLayout.JAVA_INT, index);
  }

  void setGeneration(long index, int generation) {
    generations.setAtIndex(ValueLayout.JAVA_INT, index, generation);
  }
}
