package io.pageferry.guest.demo;

import io.pageferry.guest.linux.LinuxFile;
import io.pageferry.guest.linux.MemoryTouch;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * The guest's memory: one mapped file a region, all of one size but for the last, which takes what
 * is left. The guest's pages are numbered through all regions.
 *
 * <p>The mappings last as long as the process: nothing unmaps memory that a thread may still write.
 */
final class GuestMemory implements AutoCloseable {
  private final List<Path> paths;
  private final List<Path> created;
  private final List<FileChannel> channels;

  /** What tells the files from others that have their paths later. */
  private final List<Object> keys;

  private final MemorySegment[] regions;
  private final long regionPages;
  private final long pages;

  /** Whether the files are on hugetlbfs, which does not take what is written to them. */
  private final boolean hugePages;

  private volatile boolean arriving;

  private GuestMemory(
      List<Path> paths,
      List<Path> created,
      List<FileChannel> channels,
      List<Object> keys,
      MemorySegment[] regions,
      long regionPages,
      long pages,
      boolean hugePages) {
    this.paths = paths;
    this.created = created;
    this.channels = channels;
    this.keys = keys;
    this.regions = regions;
    this.regionPages = regionPages;
    this.pages = pages;
    this.hugePages = hugePages;
  }

  /** Makes the files that are not there, and empties the ones that are; all pages are holes. */
  static GuestMemory create(List<Path> paths, long bytes) throws IOException {
    List<Path> created = new ArrayList<>();
    try {
      List<Long> sizes = regionSizes(paths.size(), bytes);
      for (int i = 0; i < paths.size(); i++) {
        Path path = paths.get(i);
        if (!Files.exists(path)) {
          // Whoever can read the image reads the guest's memory.
          Files.createFile(
              path,
              PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
          created.add(path);
        } else if (!Files.isRegularFile(path)) {
          throw new IOException(path + " is not a file");
        }
        try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
          file.setLength(0);
          file.setLength(sizes.get(i));
        }
      }
      return map(paths, created, sizes);
    } catch (IOException | RuntimeException e) {
      for (Path path : created) {
        Files.deleteIfExists(path);
      }
      throw e;
    }
  }

  /** Maps files that somebody else made and filled, or is about to fill; touches no page. */
  static GuestMemory open(List<Path> paths, long bytes) throws IOException {
    List<Long> sizes = regionSizes(paths.size(), bytes);
    for (int i = 0; i < paths.size(); i++) {
      Path path = paths.get(i);
      if (!Files.exists(path)) {
        throw new IOException("the image " + path + " does not exist");
      }
      long size = Files.size(path);
      if (size != sizes.get(i)) {
        throw new IOException(
            "the image "
                + path
                + " has "
                + size
                + " bytes, the guest's region has "
                + sizes.get(i));
      }
    }
    return map(paths, List.of(), sizes);
  }

  private static GuestMemory map(List<Path> paths, List<Path> created, List<Long> sizes)
      throws IOException {
    List<FileChannel> channels = new ArrayList<>();
    List<Object> keys = new ArrayList<>();
    MemorySegment[] regions = new MemorySegment[paths.size()];
    long total = 0;
    try {
      for (int i = 0; i < regions.length; i++) {
        FileChannel channel =
            FileChannel.open(paths.get(i), StandardOpenOption.READ, StandardOpenOption.WRITE);
        channels.add(channel);
        keys.add(key(paths.get(i)));
        regions[i] = channel.map(FileChannel.MapMode.READ_WRITE, 0, sizes.get(i), Arena.global());
        total += sizes.get(i);
      }
    } catch (IOException | RuntimeException e) {
      for (FileChannel channel : channels) {
        channel.close();
      }
      throw e;
    }
    return new GuestMemory(
        List.copyOf(paths),
        List.copyOf(created),
        List.copyOf(channels),
        List.copyOf(keys),
        regions,
        sizes.getFirst() / PageFormat.BYTES,
        total / PageFormat.BYTES,
        LinuxFile.fileSystemOf(paths.getFirst()).isHugetlbfs());
  }

  private static List<Long> regionSizes(int count, long bytes) throws IOException {
    if (bytes <= 0 || bytes % PageFormat.BYTES != 0) {
      throw new IOException("memory of " + bytes + " bytes is not a multiple of 4096");
    }
    long pages = bytes / PageFormat.BYTES;
    long each = pages / count;
    if (each == 0) {
      throw new IOException(pages + " pages cannot make " + count + " regions");
    }
    List<Long> sizes = new ArrayList<>();
    for (int i = 0; i < count - 1; i++) {
      sizes.add(each * PageFormat.BYTES);
    }
    sizes.add((pages - each * (count - 1)) * PageFormat.BYTES);
    return sizes;
  }

  /** Memory that is nobody's, to run code on. */
  static GuestMemory scratch(long pages) {
    MemorySegment memory = Arena.ofAuto().allocate(pages * PageFormat.BYTES, PageFormat.BYTES);
    return new GuestMemory(
        List.of(),
        List.of(),
        List.of(),
        List.of(),
        new MemorySegment[] {memory},
        pages,
        pages,
        false);
  }

  long pages() {
    return pages;
  }

  int regionCount() {
    return regions.length;
  }

  /** Pages in every region but the last, which may have more. */
  long regionPages() {
    return regionPages;
  }

  List<Path> paths() {
    return paths;
  }

  MemorySegment region(int index) {
    return regions[index];
  }

  int regionOf(long page) {
    return regions.length == 1 ? 0 : (int) Math.min(page / regionPages, regions.length - 1);
  }

  /** Where the page begins in its region. */
  long offsetOf(long page, int region) {
    return (page - region * regionPages) * PageFormat.BYTES;
  }

  /**
   * Waits until a page is there, which may be long in post-copy. To be called before a page is read
   * or written: a thread that waits here does not keep the guest from answering QMP.
   */
  void await(int region, long offset) {
    // Only then: memory that was taken away altogether is an error in Java and a crash elsewhere.
    if (arriving) {
      MemoryTouch.touch(regions[region], offset);
    }
  }

  /** Says whether pages may be still to come, that is: whether {@link #await} is to wait. */
  void arriving(boolean may) {
    arriving = may;
  }

  /** Whether there are files behind it. */
  boolean hasFiles() {
    return !channels.isEmpty();
  }

  /**
   * Reads pages of one region through the file, which leaves holes as they are; reading one through
   * the mapping would give it memory.
   */
  void read(long page, ByteBuffer pages) throws IOException {
    int region = regionOf(page);
    FileChannel channel = channels.get(region);
    long position = offsetOf(page, region);
    while (pages.hasRemaining()) {
      int read = channel.read(pages, position);
      if (read < 0) {
        throw new IOException("the image " + paths.get(region) + " ends at byte " + position);
      }
      position += read;
    }
  }

  /** Writes pages of one region through the file; fresh memory is got faster that way. */
  void write(long page, ByteBuffer pages) throws IOException {
    int region = regionOf(page);
    FileChannel channel = channels.get(region);
    long position = offsetOf(page, region);
    if (hugePages) {
      regions[region].asSlice(position).copyFrom(MemorySegment.ofBuffer(pages));
      return;
    }
    while (pages.hasRemaining()) {
      position += channel.write(pages, position);
    }
  }

  private static Object key(Path path) throws IOException {
    return Objects.requireNonNull(Files.readAttributes(path, BasicFileAttributes.class).fileKey());
  }

  /** Removes the files that {@link #create} made. */
  void deleteCreated() throws IOException {
    delete(created);
  }

  /** Removes all files, whoever made them. */
  void deleteAll() throws IOException {
    delete(paths);
  }

  /** Another guest's image may have the path by now. */
  private void delete(List<Path> those) throws IOException {
    for (int i = 0; i < paths.size(); i++) {
      Path path = paths.get(i);
      if (those.contains(path) && Files.exists(path) && key(path).equals(keys.get(i))) {
        Files.deleteIfExists(path);
      }
    }
  }

  /** Closes the files; what is mapped stays mapped until the process ends. */
  @Override
  public void close() throws IOException {
    for (FileChannel channel : channels) {
      channel.close();
    }
  }
}
