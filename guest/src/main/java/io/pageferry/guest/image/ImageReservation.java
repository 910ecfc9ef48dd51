package io.pageferry.guest.image;

import io.pageferry.guest.description.MemoryDescription;
import io.pageferry.guest.image.ImageException.Problem;
import io.pageferry.guest.linux.AvailableMemory;
import io.pageferry.guest.linux.Errno;
import io.pageferry.guest.linux.FileStatus;
import io.pageferry.guest.linux.FileSystemStatus;
import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.LinuxFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Makes the files of a guest that is to come and takes the space that they need.
 *
 * <p>Asking first and taking afterwards leaves a gap in which others take the space. The asking is
 * there so that the usual failures change nothing; the taking is what counts. One reservation at a
 * time in this process: two that ask at once would both be told that there is room. For the same
 * reason what earlier ones were promised counts as taken ({@link PromisedSpace}).
 */
final class ImageReservation {
  /** Taken step by step, so that a cancelled reservation of a large guest ends soon. */
  private static final long STEP = 256L << 20;

  private static final ReentrantLock ONE_AT_A_TIME = new ReentrantLock();

  private final List<RegionFile> made = new ArrayList<>();

  private ImageReservation() {}

  /** One file, and the space that it needs. */
  private record Wanted(
      int index, Path path, String name, long bytes, FileSystemStatus fileSystem) {}

  /** Makes the files as holes, if there is space for them. */
  static GuestImage create(List<MemoryDescription> memory, List<Long> regionBytes)
      throws ImageException {
    if (memory.size() != regionBytes.size()) {
      throw new IllegalArgumentException(
          memory.size() + " regions are described, " + regionBytes.size() + " sizes given");
    }
    ImageOpening.requireFiles(memory);
    awaitTurn("cannot create memory image", memory.getFirst().path());
    try {
      List<Wanted> wanted = new ArrayList<>();
      for (int i = 0; i < memory.size(); i++) {
        wanted.add(check(i, memory.get(i), regionBytes.get(i)));
      }
      checkSpace(wanted);
      ImageReservation reservation = new ImageReservation();
      try {
        for (Wanted one : wanted) {
          reservation.make(one);
        }
        reservation.made.forEach(PromisedSpace::promise);
        return new GuestImage(reservation.made);
      } catch (ImageException | RuntimeException e) {
        reservation.undo();
        throw e;
      }
    } finally {
      ONE_AT_A_TIME.unlock();
    }
  }

  /** Takes the space for the holes of files that are there. */
  static void complete(List<RegionFile> files) throws ImageException {
    awaitTurn("cannot reserve memory image", files.getFirst().region().path());
    try {
      // What they were promised is what they take now.
      files.forEach(PromisedSpace::forget);
      try {
        take(files);
      } finally {
        files.forEach(PromisedSpace::promise);
      }
    } finally {
      ONE_AT_A_TIME.unlock();
    }
  }

  /** Another's reservation may take minutes, and who is cancelled meanwhile is not to wait. */
  private static void awaitTurn(String what, Path path) throws ImageException {
    try {
      ONE_AT_A_TIME.lockInterruptibly();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw ImageFailure.of(what, path, new IOException("interrupted", e));
    }
  }

  private static void take(List<RegionFile> files) throws ImageException {
    List<Wanted> wanted = new ArrayList<>();
    for (RegionFile file : files) {
      ImageRegion region = file.region();
      Path path = region.path();
      try {
        wanted.add(
            new Wanted(
                region.index(),
                path,
                region.name(),
                file.unoccupiedBytes(),
                file.file().fileSystem()));
      } catch (IOException e) {
        throw ImageFailure.of("cannot use memory image", path, e);
      }
    }
    checkSpace(wanted);
    for (RegionFile file : files) {
      try {
        take(file.file(), file.region().bytes(), file.allocatedBytes() == 0);
      } catch (IOException e) {
        throw notTaken(wanted.get(file.region().index()), e);
      }
    }
  }

  private static Wanted check(int index, MemoryDescription described, long bytes)
      throws ImageException {
    Path path = described.path();
    Path folder = path.getParent();
    if (folder == null || !Files.exists(folder)) {
      throw new ImageException(
          Problem.NO_SUCH_DEVICE,
          "cannot create memory image %s: there is no folder %s".formatted(path, folder));
    }
    if (!Files.isDirectory(folder)) {
      throw new ImageException(
          Problem.NO_SUCH_DEVICE,
          "cannot create memory image %s: %s is not a folder".formatted(path, folder));
    }
    if (Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      throw exists(path);
    }
    FileSystemStatus fileSystem;
    try {
      fileSystem = LinuxFile.fileSystemOf(folder);
    } catch (IOException e) {
      throw ImageFailure.of("cannot create memory image", path, e);
    }
    ImageOpening.requireMultiple(path, bytes, ImageOpening.granule(fileSystem));
    return new Wanted(index, path, described.name(), bytes, fileSystem);
  }

  private static ImageException exists(Path path) {
    return new ImageException(
        Problem.EXISTS, "memory image " + path + " exists already; it was left as it is");
  }

  private static void checkSpace(List<Wanted> wanted) throws ImageException {
    Map<Path, Long> perFolder = new LinkedHashMap<>();
    long memory = 0;
    for (Wanted one : wanted) {
      Path folder = one.path().toAbsolutePath().getParent();
      long sum = saturatedSum(perFolder.getOrDefault(folder, 0L), one.bytes());
      perFolder.put(folder, sum);
      FileSystemStatus fileSystem = one.fileSystem();
      if (fileSystem.isHugetlbfs()) {
        checkHugePages(one, sum);
      } else {
        if (fileSystem.isTmpfs()) {
          memory = saturatedSum(memory, one.bytes());
        }
        // A tmpfs without a limit says that it has 0 bytes in all.
        if (fileSystem.totalBytes() > 0) {
          long free = Math.max(0, fileSystem.availableBytes() - promised(one.path()));
          if (sum > free) {
            throw full(one.path(), sum, free);
          }
        }
      }
    }
    long available = Math.max(0, AvailableMemory.bytes() - promisedMemory(wanted));
    if (memory > available) {
      throw new ImageException(
          Problem.NO_MEMORY,
          "cannot allocate memory for image %s: it needs %d MiB and this host has %d MiB left"
              .formatted(wanted.getFirst().path(), memory >> 20, available >> 20));
    }
  }

  private static long promised(Path path) throws ImageException {
    try {
      return PromisedSpace.beside(Objects.requireNonNull(path.toAbsolutePath().getParent()));
    } catch (IOException e) {
      throw ImageFailure.of("cannot find room for memory image", path, e);
    }
  }

  private static long promisedMemory(List<Wanted> wanted) throws ImageException {
    try {
      return PromisedSpace.ofMemory();
    } catch (IOException e) {
      throw ImageFailure.of("cannot find room for memory image", wanted.getFirst().path(), e);
    }
  }

  private static long saturatedSum(long a, long b) {
    long sum = a + b;
    return sum < 0 ? Long.MAX_VALUE : sum;
  }

  private static void checkHugePages(Wanted one, long bytes) throws ImageException {
    FileSystemStatus fileSystem = one.fileSystem();
    long free = AvailableMemory.hugePageBytes(fileSystem.blockBytes());
    if (fileSystem.totalBytes() > 0) {
      free = Math.min(free, fileSystem.availableBytes());
    }
    if (bytes > free) {
      throw new ImageException(
          Problem.NO_MEMORY,
          ("cannot allocate memory for image %s: it needs %d huge pages of %d KiB and %d are free;"
                  + " see /proc/sys/vm/nr_hugepages")
              .formatted(
                  one.path(),
                  bytes / fileSystem.blockBytes(),
                  fileSystem.blockBytes() >> 10,
                  free / fileSystem.blockBytes()));
    }
  }

  private static ImageException full(Path path, long bytes, long available) {
    return new ImageException(
        Problem.FILE_SYSTEM_FULL,
        "no space for memory image %s: it needs %d MiB and the file system has %d MiB left"
            .formatted(path, bytes >> 20, available >> 20));
  }

  private void make(Wanted wanted) throws ImageException {
    Path path = wanted.path();
    LinuxFile file;
    try {
      file = LinuxFile.create(path);
    } catch (LinuxException e) {
      if (e.errno() == Errno.EEXIST) {
        throw exists(path);
      }
      throw ImageFailure.of("cannot create memory image", path, e);
    }
    try {
      FileStatus status = file.status();
      int granule = ImageOpening.granule(wanted.fileSystem());
      ImageRegion region =
          new ImageRegion(wanted.index(), wanted.name(), path, wanted.bytes(), granule);
      made.add(
          new RegionFile(region, file, status.device(), status.inode(), wanted.fileSystem(), true));
    } catch (IOException e) {
      file.close();
      delete(path);
      throw ImageFailure.of("cannot create memory image", path, e);
    }
    ImageOpening.lock(file, path);
    try {
      // Tells at once, and by itself, whether the file system supports files of this size.
      file.setSize(wanted.bytes());
    } catch (IOException e) {
      throw notTaken(wanted, e);
    }
  }

  /**
   * @param empty whether zeros may be written where the file system cannot allocate otherwise
   */
  private static void take(LinuxFile file, long bytes, boolean empty) throws IOException {
    for (long done = 0; done < bytes; done += STEP) {
      if (Thread.currentThread().isInterrupted()) {
        throw new IOException("interrupted");
      }
      long step = Math.min(STEP, bytes - done);
      try {
        file.allocate(done, step);
      } catch (LinuxException e) {
        if (e.errno() != Errno.EOPNOTSUPP || !empty) {
          throw e;
        }
        RegionFile.writeZeros(file, done, step);
      }
    }
  }

  private static ImageException notTaken(Wanted wanted, IOException cause) {
    if (cause instanceof LinuxException failed && failed.errno() == Errno.ENOSPC) {
      String sentence =
          "cannot reserve %d MiB for memory image %s: %s"
              .formatted(wanted.bytes() >> 20, wanted.path(), failed.reason());
      Problem problem =
          wanted.fileSystem().isHugetlbfs() ? Problem.NO_MEMORY : Problem.FILE_SYSTEM_FULL;
      return new ImageException(problem, sentence, cause);
    }
    return ImageFailure.of("cannot reserve memory image", wanted.path(), cause);
  }

  private void undo() {
    for (RegionFile file : made) {
      delete(file.region().path());
      file.close();
    }
  }

  private static void delete(Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      // The failure that led here is the one to report.
    }
  }
}
