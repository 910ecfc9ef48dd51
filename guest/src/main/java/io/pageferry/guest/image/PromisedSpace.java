package io.pageferry.guest.image;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;

/**
 * What guests on their way to this process have been promised and do not occupy: an image that is a
 * hole until its pages land, or has become one again where they are zero. No other guest may count
 * on that space until the image is closed, when its guest has all that it needs.
 *
 * <p>Threads: any; guarded by the class's monitor.
 */
final class PromisedSpace {
  private static final Set<RegionFile> PROMISED = new HashSet<>();

  private PromisedSpace() {}

  static synchronized void promise(RegionFile file) {
    PROMISED.add(file);
  }

  /** Has no effect on a file that was promised nothing. */
  static synchronized void forget(RegionFile file) {
    PROMISED.remove(file);
  }

  /** Bytes that images on the same file system as this folder may still take. */
  static synchronized long beside(Path folder) throws IOException {
    Object device = device(folder);
    long bytes = 0;
    for (RegionFile file : PROMISED) {
      Path other = file.region().path().toAbsolutePath().getParent();
      if (other != null && Files.exists(other) && device(other).equals(device)) {
        bytes += file.unoccupiedBytes();
      }
    }
    return bytes;
  }

  /** Bytes of memory that images may still take, whichever tmpfs they are on. */
  static synchronized long ofMemory() throws IOException {
    long bytes = 0;
    for (RegionFile file : PROMISED) {
      bytes += file.isTmpfs() ? file.unoccupiedBytes() : 0;
    }
    return bytes;
  }

  private static Object device(Path folder) throws IOException {
    return Files.getAttribute(folder, "unix:dev");
  }
}
