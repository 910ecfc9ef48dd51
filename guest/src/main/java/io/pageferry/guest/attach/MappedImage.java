package io.pageferry.guest.attach;

import io.pageferry.guest.attach.AttachException.Problem;
import io.pageferry.guest.handover.MappedRegion;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.guest.linux.ProcessMaps.Mapping;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** Finds a guest's image among what a process has mapped. */
final class MappedImage {
  private MappedImage() {}

  /** Whether any of it is among shared mappings. */
  static boolean isIn(List<Mapping> mappings, GuestImage image) {
    return mappings.stream()
        .anyMatch(
            mapping -> image.regions().stream().anyMatch(region -> isOf(mapping, image, region)));
  }

  /**
   * Where all of it is mapped, in guest order, offsets counted through the regions one after the
   * other.
   *
   * @throws AttachException if a part of it is not mapped, or privately, or twice
   */
  static List<MappedRegion> in(int pid, List<Mapping> mappings, GuestImage image)
      throws AttachException {
    List<MappedRegion> found = new ArrayList<>();
    long before = 0;
    for (ImageRegion region : image.regions()) {
      List<Mapping> here =
          mappings.stream()
              .filter(mapping -> isOf(mapping, image, region))
              .sorted(Comparator.comparingLong(Mapping::offset))
              .toList();
      long at = 0;
      for (Mapping mapping : here) {
        if (mapping.offset() >= region.bytes()) {
          break;
        }
        requireShared(pid, mapping, region);
        if (mapping.offset() < at) {
          throw new AttachException(
              Problem.MAPPING,
              "process %d has mapped %s twice, and what it writes by one way is not seen by the other"
                  .formatted(pid, region.path()));
        }
        if (mapping.offset() > at) {
          break;
        }
        long end = Math.min(region.bytes(), at + mapping.end() - mapping.start());
        add(found, new MappedRegion(mapping.start(), end - at, before + at, region.pageSize()));
        at = end;
      }
      if (at < region.bytes()) {
        throw new AttachException(
            image.isToldByMaps(region.index()) ? Problem.FOREIGN : Problem.MAPPING,
            "process %d has not mapped %s %s: name the file that is its memory backend (mem-path)"
                .formatted(pid, at == 0 ? "any of" : "all of", region.path()));
      }
      before += region.bytes();
    }
    return found;
  }

  private static boolean isOf(Mapping mapping, GuestImage image, ImageRegion region) {
    return mapping.inode() != 0
        && image.isRegion(region.index(), mapping.device(), mapping.inode());
  }

  private static void requireShared(int pid, Mapping mapping, ImageRegion region)
      throws AttachException {
    if (!mapping.shared()) {
      throw new AttachException(
          Problem.FOREIGN,
          "process %d has mapped %s privately, so what it writes does not reach the file: add"
                  .formatted(pid, region.path())
              + " share=on to its memory backend");
    }
  }

  /** The kernel splits mappings for reasons of its own; what lies behind one another is one. */
  private static void add(List<MappedRegion> found, MappedRegion next) {
    if (!found.isEmpty()) {
      MappedRegion last = found.getLast();
      if (last.baseHostVirtAddr() + last.size() == next.baseHostVirtAddr()
          && last.offset() + last.size() == next.offset()
          && last.pageSize() == next.pageSize()) {
        found.removeLast();
        found.add(
            new MappedRegion(
                last.baseHostVirtAddr(),
                last.size() + next.size(),
                last.offset(),
                last.pageSize()));
        return;
      }
    }
    found.add(next);
  }
}
