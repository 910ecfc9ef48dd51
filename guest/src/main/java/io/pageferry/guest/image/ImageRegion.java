package io.pageferry.guest.image;

import java.nio.file.Path;

/**
 * One region of a guest's memory, which is one file.
 *
 * @param index the region's place in guest order, from 0
 * @param name as the guest's description calls it
 * @param bytes the region's size, a multiple of {@code pageSize}
 * @param pageSize the granule in which the kernel keeps and tracks this memory: 4096, or the huge
 *     page size of a hugetlbfs. Pages are numbered in units of 4096 whatever it is.
 */
public record ImageRegion(int index, String name, Path path, long bytes, int pageSize) {
  /** The unit in which pages are numbered, read and sent. */
  public static final int PAGE_BYTES = 4096;

  /** The number of pages of 4096 bytes. */
  public long pages() {
    return bytes / PAGE_BYTES;
  }
}
