package io.pageferry.guest.fault;

import io.pageferry.guest.handover.MappedPiece;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** From a page to its address in the guest's process, and back. Immutable; makes no garbage. */
final class GuestAddresses {
  private final MappedPiece[] byAddress;
  private final long[] starts;

  /** By region, then in the order of the region's pages. */
  private final MappedPiece[][] byRegion;

  /**
   * @param pieces in the order of the regions, which they cover
   */
  GuestAddresses(List<MappedPiece> pieces) {
    byAddress =
        pieces.stream()
            .sorted(Comparator.comparingLong(MappedPiece::start))
            .toArray(MappedPiece[]::new);
    starts = Arrays.stream(byAddress).mapToLong(MappedPiece::start).toArray();
    byRegion = new MappedPiece[pieces.getLast().region() + 1][];
    for (int i = 0; i < byRegion.length; i++) {
      int region = i;
      byRegion[i] =
          pieces.stream().filter(piece -> piece.region() == region).toArray(MappedPiece[]::new);
    }
  }

  MappedPiece[] all() {
    return byAddress;
  }

  /** The piece that an address is in; null if it is in none. */
  @Nullable MappedPiece at(long address) {
    int found = Arrays.binarySearch(starts, address);
    int index = found >= 0 ? found : -found - 2;
    return index >= 0 && address < byAddress[index].end() ? byAddress[index] : null;
  }

  /** The piece that a page of a region is in. */
  MappedPiece of(int region, long page) {
    for (MappedPiece piece : byRegion[region]) {
      if (page < piece.firstPage() + piece.pages()) {
        return piece;
      }
    }
    throw new IndexOutOfBoundsException("page " + page + " of region " + region);
  }
}
