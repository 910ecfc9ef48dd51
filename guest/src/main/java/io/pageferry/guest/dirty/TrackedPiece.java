package io.pageferry.guest.dirty;

import io.pageferry.guest.handover.MappedRegion;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.guest.linux.ProcessMaps;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * A part of one region of the image, and where the guest has it mapped. What the guest says about
 * that is not believed but compared with what its process has mapped: following the wrong addresses
 * would report a busy guest as idle.
 *
 * @param firstPage in the region
 * @param start the address of that page in the guest's process
 * @param end the address behind the last one
 */
record TrackedPiece(ImageRegion region, long firstPage, long start, long end) {
  private static final int PAGE = ImageRegion.PAGE_BYTES;

  long pages() {
    return (end - start) / PAGE;
  }

  long pageAt(long address) {
    return firstPage + (address - start) / PAGE;
  }

  /**
   * Cuts what was handed over along the regions of the image.
   *
   * @return in the order of the image, which they cover without a gap
   * @throws IOException if they do not cover it
   */
  static List<TrackedPiece> of(List<MappedRegion> mapped, GuestImage image) throws IOException {
    List<MappedRegion> byOffset =
        mapped.stream().sorted(Comparator.comparingLong(MappedRegion::offset)).toList();
    List<TrackedPiece> pieces = new ArrayList<>();
    long regionStart = 0;
    int next = 0;
    for (ImageRegion region : image.regions()) {
      long at = regionStart;
      long regionEnd = regionStart + region.bytes();
      while (at < regionEnd) {
        if (next == byOffset.size() || byOffset.get(next).offset() > at) {
          throw new IOException(
              "the guest did not hand over all of region %s: nothing is mapped at %d"
                  .formatted(region.name(), at - regionStart));
        }
        MappedRegion one = byOffset.get(next);
        long pieceEnd = Math.min(regionEnd, one.offset() + one.size());
        long base = one.baseHostVirtAddr() - one.offset();
        pieces.add(new TrackedPiece(region, (at - regionStart) / PAGE, base + at, base + pieceEnd));
        at = pieceEnd;
        if (at == one.offset() + one.size()) {
          next++;
        }
      }
      regionStart = regionEnd;
    }
    if (next < byOffset.size()) {
      throw new IOException(
          "the guest handed over more memory than its image has: %d bytes".formatted(regionStart));
    }
    return List.copyOf(pieces);
  }

  /**
   * Checks that the process has this file mapped here, shared.
   *
   * @param mappings of the guest's process, ascending
   */
  void requireMapped(List<ProcessMaps.Mapping> mappings, GuestImage image) throws IOException {
    long at = start;
    for (ProcessMaps.Mapping mapping : mappings) {
      if (mapping.end() <= at || at >= end) {
        continue;
      }
      if (mapping.start() > at) {
        break;
      }
      long offset = mapping.offset() + at - mapping.start();
      if (!image.isRegion(region.index(), mapping.device(), mapping.inode())) {
        throw new IOException(
            "at the address handed over for region %s the guest has mapped something other than %s"
                .formatted(region.name(), region.path()));
      }
      if (!mapping.shared()) {
        throw new IOException(
            "the guest has mapped %s privately: what it writes does not reach the file"
                .formatted(region.path()));
      }
      if (offset != firstPage * PAGE + at - start) {
        throw new IOException(
            "the guest has mapped %s at another offset than it says".formatted(region.path()));
      }
      at = mapping.end();
    }
    if (at < end) {
      throw new IOException(
          "at the address handed over for region %s the guest has nothing mapped"
              .formatted(region.name()));
    }
  }
}
