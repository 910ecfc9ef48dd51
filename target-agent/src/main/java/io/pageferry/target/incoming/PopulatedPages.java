package io.pageferry.target.incoming;

import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import java.io.IOException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * Pages of an image that hold something worth keeping: one bit a page. One thread at a time.
 *
 * <p>A region of more than 8 TiB, more than a bit set numbers, counts as having none.
 */
public final class PopulatedPages {
  private final List<BitSet> regions = new ArrayList<>();

  private PopulatedPages(int count) {
    for (int region = 0; region < count; region++) {
      regions.add(new BitSet());
    }
  }

  /** None of so many regions. */
  public static PopulatedPages none(int regions) {
    return new PopulatedPages(regions);
  }

  /** What is not a hole. */
  static PopulatedPages of(GuestImage image) throws IOException {
    PopulatedPages found = new PopulatedPages(image.regions().size());
    for (ImageRegion region : image.regions()) {
      image.populatedRuns(region.index(), found::add);
    }
    return found;
  }

  /** These pages as well. */
  public void add(int region, long firstPage, long count) {
    if (firstPage + count <= Integer.MAX_VALUE) {
      regions.get(region).set((int) firstPage, (int) (firstPage + count));
    }
  }

  void add(PopulatedPages others) {
    for (int region = 0; region < regions.size(); region++) {
      regions.get(region).or(others.regions.get(region));
    }
  }

  /** The first of these pages from one on; −1 if there is none. */
  public long next(int region, long page) {
    return page > Integer.MAX_VALUE ? -1 : regions.get(region).nextSetBit((int) page);
  }

  /** The first page from one on that is none of these. */
  public long end(int region, long page) {
    return regions.get(region).nextClearBit((int) page);
  }

  /** How many. */
  public long count() {
    return regions.stream().mapToLong(BitSet::cardinality).sum();
  }

  /** Makes holes of all other pages. */
  void clearOthers(GuestImage image) throws IOException {
    for (ImageRegion region : image.regions()) {
      for (long page = 0; page < region.pages(); ) {
        long next = next(region.index(), page);
        long end = next < 0 ? region.pages() : next;
        if (end > page) {
          image.clear(region.index(), page, end - page);
        }
        page = next < 0 ? region.pages() : end(region.index(), end);
      }
    }
  }
}
