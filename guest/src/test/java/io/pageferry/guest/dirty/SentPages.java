package io.pageferry.guest.dirty;

import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** The target of a test: what was sent of each page, whole. A page never sent is zero. */
final class SentPages implements SentContent, AutoCloseable {
  private final GuestImage image;
  private final Arena arena = Arena.ofShared();
  private final List<MemorySegment> regions = new ArrayList<>();

  SentPages(GuestImage image) {
    this.image = image;
    for (ImageRegion region : image.regions()) {
      regions.add(arena.allocate(region.bytes(), 4096));
    }
  }

  /** Reads pages and "sends" them. */
  void send(int region, long firstPage, long count) throws IOException {
    for (long done = 0; done < count; done += 256) {
      long pages = Math.min(256, count - done);
      MemorySegment target = regions.get(region).asSlice((firstPage + done) * 4096, pages * 4096);
      image.read(region, firstPage + done, target.asByteBuffer());
    }
  }

  void sendEverything() throws IOException {
    for (ImageRegion region : image.regions()) {
      image.populatedRuns(region.index(), this::send);
    }
  }

  @Override
  public boolean differs(int region, long page, MemorySegment fourKiB) {
    return regions.get(region).asSlice(page * 4096, 4096).mismatch(fourKiB) >= 0;
  }

  /** Pages whose content is not what was sent. */
  List<String> differences() throws IOException {
    List<String> found = new ArrayList<>();
    try (Arena temporary = Arena.ofConfined()) {
      for (ImageRegion region : image.regions()) {
        MemorySegment page = temporary.allocate(4096, 4096);
        for (long i = 0; i < region.pages(); i++) {
          image.read(region.index(), i, page.asByteBuffer());
          if (differs(region.index(), i, page)) {
            found.add(region.index() + ":" + i);
          }
        }
      }
    }
    return found;
  }

  @Override
  public void close() {
    arena.close();
  }
}
