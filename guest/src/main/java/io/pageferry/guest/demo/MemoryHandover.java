package io.pageferry.guest.demo;

import io.pageferry.guest.handover.GuestSideHandover;
import io.pageferry.guest.handover.HandoverMode;
import io.pageferry.guest.handover.MappedRegion;
import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Hands over a userfaultfd on all of the guest's memory, one after the other. */
final class MemoryHandover implements QmpDialogue.Handover, AutoCloseable {
  private final GuestMemory memory;
  private @Nullable GuestSideHandover current;

  MemoryHandover(GuestMemory memory) {
    this.memory = memory;
  }

  @Override
  public synchronized void to(Path socket, String mode) throws IOException {
    HandoverMode wanted = mode(mode);
    if (wanted == HandoverMode.MISSING) {
      // Before anything can be missing, and for as long as it may be.
      memory.arriving(true);
    }
    GuestSideHandover before = current;
    if (before == null) {
      current = GuestSideHandover.start(socket, wanted, regions());
      return;
    }
    if (before.active()) {
      throw new IOException("the guest's memory is handed over already");
    }
    if (!before.servesMissing()) {
      before.close();
      current = null;
      current = GuestSideHandover.start(socket, wanted, regions());
    } else if (wanted == HandoverMode.MISSING) {
      before.again(socket);
    } else {
      // Fails with "busy" as long as pages may be missing: only the agent that brought the last one
      // takes the watch off.
      current = GuestSideHandover.start(socket, wanted, regions());
      before.abandon();
      memory.arriving(false);
    }
  }

  private static HandoverMode mode(String word) throws IOException {
    for (HandoverMode mode : HandoverMode.values()) {
      if (mode.name().toLowerCase(Locale.ROOT).replace('_', '-').equals(word)) {
        return mode;
      }
    }
    throw new IOException("'" + word + "' is no mode; there are write-protect and missing");
  }

  private List<MappedRegion> regions() throws IOException {
    List<MappedRegion> regions = new ArrayList<>();
    long offset = 0;
    for (int i = 0; i < memory.regionCount(); i++) {
      long size = memory.region(i).byteSize();
      regions.add(
          new MappedRegion(
              memory.region(i).address(), size, offset, granule(memory.paths().get(i))));
      offset += size;
    }
    return regions;
  }

  /** A file of hugetlbfs is mapped in huge pages, which is also its block size. */
  private static int granule(Path path) throws IOException {
    FileStore store = Files.getFileStore(path);
    return store.type().equals("hugetlbfs")
        ? Math.toIntExact(store.getBlockSize())
        : PageFormat.BYTES;
  }

  @Override
  public synchronized void close() {
    if (current != null) {
      current.close();
    }
  }
}
