package io.pageferry.guest.handover;

import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.guest.linux.ProcessMaps;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * A part of one region of the guest's memory, and where the guest has it mapped. What the guest
 * says about that is not believed but compared with what its process has mapped: following the
 * wrong addresses would report a busy guest as idle, and landing pages there would ruin it.
 *
 * @param region its index
 * @param firstPage in the region
 * @param start the address of that page in the guest's process
 * @param end the address behind the last one
 * @param pageSize of the kernel, in bytes: 4096, or that of the huge pages behind it
 */
public record MappedPiece(
    int region, String regionName, long firstPage, long start, long end, int pageSize) {
  private static final int PAGE = ImageRegion.PAGE_BYTES;

  /** Pages of 4096 bytes. */
  public long pages() {
    return (end - start) / PAGE;
  }

  /** The page, counted in the region, that this address is in. */
  public long pageAt(long address) {
    return firstPage + (address - start) / PAGE;
  }

  /** Where a page of the region begins. */
  public long addressOf(long page) {
    return start + (page - firstPage) * PAGE;
  }

  /** As {@link #of(List, List)}, for a guest whose memory lies in files. */
  public static List<MappedPiece> of(List<MappedRegion> mapped, GuestImage image)
      throws IOException {
    return of(mapped, GuestRegion.of(image));
  }

  /**
   * Cuts what was handed over along the regions of the guest.
   *
   * @return in the order of the regions, which they cover without a gap
   * @throws IOException if they do not cover them
   */
  public static List<MappedPiece> of(List<MappedRegion> mapped, List<GuestRegion> regions)
      throws IOException {
    List<MappedRegion> byOffset =
        mapped.stream().sorted(Comparator.comparingLong(MappedRegion::offset)).toList();
    List<MappedPiece> pieces = new ArrayList<>();
    long regionStart = 0;
    int next = 0;
    for (int index = 0; index < regions.size(); index++) {
      GuestRegion region = regions.get(index);
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
        if (((at | pieceEnd | (at - regionStart)) & (one.pageSize() - 1)) != 0) {
          throw new IOException(
              "a boundary of region %s lies within a page of %d bytes of the guest"
                  .formatted(region.name(), one.pageSize()));
        }
        pieces.add(
            new MappedPiece(
                index,
                region.name(),
                (at - regionStart) / PAGE,
                base + at,
                base + pieceEnd,
                one.pageSize()));
        at = pieceEnd;
        if (at == one.offset() + one.size()) {
          next++;
        }
      }
      regionStart = regionEnd;
    }
    if (next < byOffset.size()) {
      throw new ForeignMemoryException(
          "the guest handed over more memory than its image has: %d bytes".formatted(regionStart));
    }
    return List.copyOf(pieces);
  }

  /**
   * Checks that the process has this file mapped here, shared.
   *
   * @param mappings of the guest's process, ascending
   * @throws ForeignMemoryException if it certainly has not
   * @throws IOException if it seems so
   */
  public void requireMapped(List<ProcessMaps.Mapping> mappings, GuestImage image)
      throws IOException {
    Path path = image.regions().get(region).path();
    long at = start;
    for (ProcessMaps.Mapping mapping : mappings) {
      if (mapping.end() <= at || at >= end) {
        continue;
      }
      if (mapping.start() > at) {
        break;
      }
      long offset = mapping.offset() + at - mapping.start();
      if (!image.isRegion(region, mapping.device(), mapping.inode())) {
        String sentence =
            "at the address handed over for region %s the guest has mapped something other than %s"
                .formatted(regionName, path);
        throw image.isToldByMaps(region)
            ? new ForeignMemoryException(sentence)
            : new IOException(sentence);
      }
      if (!mapping.shared()) {
        throw new ForeignMemoryException(
            "the guest has mapped %s privately: what it writes does not reach the file"
                .formatted(path));
      }
      if (offset != firstPage * PAGE + at - start) {
        throw new ForeignMemoryException(
            "the guest has mapped %s at another offset than it says".formatted(path));
      }
      at = mapping.end();
    }
    if (at < end) {
      throw new IOException(
          "at the address handed over for region %s the guest has nothing mapped"
              .formatted(regionName));
    }
  }
}
