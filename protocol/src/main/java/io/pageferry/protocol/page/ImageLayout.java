package io.pageferry.protocol.page;

import java.util.List;

/**
 * How many pages each region of an image has: what a peer's region and page numbers are checked
 * against. Regions are numbered from 0 in the order of the list, pages within each from 0.
 */
public record ImageLayout(List<Region> regions) {
  /** Page numbers take part in the digest as 46 bits, region numbers as 16. */
  static final long MAX_PAGES = 1L << 46;

  static final int MAX_REGIONS = 1 << 16;

  /**
   * A piece of the guest's memory.
   *
   * @param name as both sides call it
   * @param pages of 4096 bytes, at least 1
   */
  public record Region(String name, long pages) {
    public Region {
      if (pages < 1 || pages > MAX_PAGES) {
        throw new IllegalArgumentException("a region of " + pages + " pages");
      }
    }
  }

  public ImageLayout {
    regions = List.copyOf(regions);
    if (regions.isEmpty() || regions.size() > MAX_REGIONS) {
      throw new IllegalArgumentException("an image of " + regions.size() + " regions");
    }
  }

  /** Pages of all regions. */
  public long pages() {
    return regions.stream().mapToLong(Region::pages).sum();
  }

  /** Whether the region exists and has all of these pages. */
  public boolean holds(int region, long firstPage, long count) {
    if (region < 0 || region >= regions.size()) {
      return false;
    }
    long pages = regions.get(region).pages();
    return firstPage >= 0 && count >= 1 && firstPage < pages && count <= pages - firstPage;
  }
}
