package io.pageferry.guest.demo;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;

/**
 * The pages that the guest writes: the first ones of every region, the same number in each. Their
 * generations are kept here and not in the guest's memory, so they travel with the registers and an
 * old copy of a page cannot vouch for itself.
 *
 * <p>Off the heap, in planes: the low byte of every page's generation, then the next byte of every
 * page's, as many as the largest one needs. So saving and restoring them, which happens while the
 * guest stands still, is a few copies and no loop over pages. One thread at a time.
 */
final class WorkingSet {
  /** More would not fit into a device state of 64 MiB: 32 GiB of working set. */
  static final long MAX_PAGES = 8L << 20;

  private final long pages;
  private final long perRegion;
  private final long regionPages;
  private final int regions;

  /** Of the generations less one: a plane of zeros is that of pages never written. */
  private final MemorySegment[] planes = new MemorySegment[Integer.BYTES];

  private int used;

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
    addPlane();
  }

  private void addPlane() {
    planes[used++] = Arena.ofAuto().allocate(pages);
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
    int written = 0;
    for (int plane = 0; plane < used; plane++) {
      written |= Byte.toUnsignedInt(planes[plane].get(ValueLayout.JAVA_BYTE, index)) << (8 * plane);
    }
    return written + 1;
  }

  void setGeneration(long index, int generation) {
    int written = generation - 1;
    while (used < Integer.BYTES && (written >>> (8 * used)) != 0) {
      addPlane();
    }
    for (int plane = 0; plane < used; plane++) {
      planes[plane].set(ValueLayout.JAVA_BYTE, index, (byte) (written >>> (8 * plane)));
    }
  }

  /** How many bytes {@link #save} writes. */
  int savedBytes() {
    return Math.toIntExact(1 + used * pages);
  }

  /** Writes the number of planes and the planes. */
  void save(ByteBuffer out) {
    out.put((byte) used);
    for (int plane = 0; plane < used; plane++) {
      out.put(planes[plane].asByteBuffer());
    }
  }

  /**
   * Reads what {@link #save} wrote.
   *
   * @throws IllegalArgumentException if it cannot have written that
   */
  void restore(ByteBuffer in) {
    int saved = in.get();
    if (saved < 1 || saved > Integer.BYTES) {
      throw new IllegalArgumentException("generations of " + saved + " bytes");
    }
    if (in.remaining() < saved * pages) {
      throw new BufferUnderflowException();
    }
    while (used < saved) {
      addPlane();
    }
    for (int plane = 0; plane < saved; plane++) {
      int bytes = Math.toIntExact(pages);
      planes[plane].asByteBuffer().put(in.slice(in.position(), bytes));
      in.position(in.position() + bytes);
    }
  }
}
