package io.pageferry.guest.image;

import io.pageferry.guest.description.MemoryDescription;
import io.pageferry.guest.image.ImageException.Problem;
import io.pageferry.guest.linux.FileStatus;
import io.pageferry.guest.linux.FileSystemStatus;
import io.pageferry.guest.linux.LinuxFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Opens what is there, and says what is wrong with it if it cannot be used. */
final class ImageOpening {
  private ImageOpening() {}

  static GuestImage open(List<MemoryDescription> memory) throws ImageException {
    return open(memory, false);
  }

  static GuestImage openKept(List<MemoryDescription> memory, List<Long> regionBytes)
      throws ImageException {
    GuestImage image = open(memory, true);
    for (ImageRegion region : image.regions()) {
      if (region.bytes() != regionBytes.get(region.index())) {
        image.close();
        throw new ImageException(
            Problem.NOT_AN_IMAGE,
            "memory image %s has %d bytes, %d are wanted"
                .formatted(region.path(), region.bytes(), regionBytes.get(region.index())));
      }
    }
    return image;
  }

  /**
   * @param ours whether the files were made by an agent, to be removed by one
   */
  private static GuestImage open(List<MemoryDescription> memory, boolean ours)
      throws ImageException {
    requireFiles(memory);
    List<RegionFile> files = new ArrayList<>();
    try {
      for (MemoryDescription region : memory) {
        RegionFile opened = open(files.size(), region, ours);
        for (RegionFile other : files) {
          if (other.sameFileAs(opened)) {
            opened.close();
            throw new ImageException(
                Problem.NOT_AN_IMAGE,
                "memory regions %s and %s are the same file, %s"
                    .formatted(other.region().name(), region.name(), region.path()));
          }
        }
        files.add(opened);
      }
      lock(files);
      return new GuestImage(files);
    } catch (ImageException | RuntimeException e) {
      files.forEach(RegionFile::close);
      throw e;
    }
  }

  static void requireFiles(List<MemoryDescription> memory) throws ImageException {
    for (MemoryDescription region : memory) {
      if (region.anonymous()) {
        throw new ImageException(
            Problem.NOT_AN_IMAGE,
            "memory region %s is in no file: such a guest can only be received, and by post-copy"
                .formatted(region.name()));
      }
    }
  }

  private static void lock(List<RegionFile> files) throws ImageException {
    for (RegionFile file : files) {
      lock(file.file(), file.region().path());
    }
  }

  static void lock(LinuxFile file, Path path) throws ImageException {
    try {
      if (!file.tryLock()) {
        throw new ImageException(
            Problem.LOCKED, "memory image " + path + " is locked by another migration");
      }
    } catch (ImageException e) {
      throw e;
    } catch (IOException e) {
      throw ImageFailure.of("cannot lock memory image", path, e);
    }
  }

  private static RegionFile open(int index, MemoryDescription described, boolean ours)
      throws ImageException {
    Path path = described.path();
    LinuxFile file;
    try {
      file = LinuxFile.open(path);
    } catch (IOException e) {
      if (Files.exists(path) && !Files.isRegularFile(path)) {
        // A socket answers "no such device", a folder "is a directory".
        throw new ImageException(Problem.NOT_AN_IMAGE, notRegular(path), e);
      }
      if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS) && parentIsMissing(path)) {
        throw new ImageException(
            Problem.MISSING,
            "there is no memory image %s: %s does not exist".formatted(path, path.getParent()),
            e);
      }
      throw ImageFailure.of("cannot open memory image", path, e);
    }
    try {
      return checked(index, described, file, ours);
    } catch (ImageException | RuntimeException e) {
      file.close();
      throw e;
    } catch (IOException e) {
      file.close();
      throw ImageFailure.of("cannot use memory image", path, e);
    }
  }

  private static boolean parentIsMissing(Path path) {
    Path parent = path.getParent();
    return parent != null && !Files.exists(parent);
  }

  private static String notRegular(Path path) {
    return path + " is not a memory image: it is no regular file";
  }

  private static RegionFile checked(
      int index, MemoryDescription described, LinuxFile file, boolean ours) throws IOException {
    Path path = described.path();
    FileStatus status = file.status();
    if (status.kind() != FileStatus.Kind.REGULAR) {
      throw new ImageException(Problem.NOT_AN_IMAGE, notRegular(path));
    }
    long bytes = described.bytes().orElse(status.bytes());
    if (status.bytes() == 0) {
      throw new ImageException(Problem.TOO_SMALL, "memory image " + path + " is empty");
    }
    if (status.bytes() < bytes) {
      throw new ImageException(
          Problem.TOO_SMALL,
          "memory image %s has %d bytes, %d are described".formatted(path, status.bytes(), bytes));
    }
    if (status.bytes() > bytes) {
      throw new ImageException(
          Problem.NOT_AN_IMAGE,
          "%s is not the memory image described: it has %d bytes, %d are described"
              .formatted(path, status.bytes(), bytes));
    }
    FileSystemStatus fileSystem = file.fileSystem();
    int granule = granule(fileSystem);
    requireMultiple(path, bytes, granule);
    ImageRegion region = new ImageRegion(index, described.name(), path, bytes, granule);
    return new RegionFile(region, file, status.device(), status.inode(), fileSystem, ours);
  }

  static int granule(FileSystemStatus fileSystem) {
    return fileSystem.isHugetlbfs() ? fileSystem.blockBytes() : ImageRegion.PAGE_BYTES;
  }

  static void requireMultiple(Path path, long bytes, int granule) throws ImageException {
    if (bytes <= 0 || bytes % granule != 0) {
      throw new ImageException(
          Problem.NOT_PAGE_MULTIPLE,
          "memory image %s: its size, %d bytes, is not a multiple of the page size, %d"
              .formatted(path, bytes, granule));
    }
  }
}
