package io.pageferry.guest.image;

import io.pageferry.guest.linux.Errno;
import io.pageferry.guest.linux.FileStatus;
import io.pageferry.guest.linux.FileSystemStatus;
import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.LinuxFile;
import io.pageferry.guest.linux.MemoryMapping;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Objects;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * One region's open file. Reading and writing disjoint pages may go on in any number of threads.
 *
 * <p>How bytes get in and out was measured on tmpfs: see {@link GuestImage}.
 */
final class RegionFile implements AutoCloseable {
  private static final int PAGE = ImageRegion.PAGE_BYTES;
  private static final int ZEROS = 1 << 20;

  private final ImageRegion region;
  private final LinuxFile file;
  private final long device;
  private final long inode;
  private final boolean hugetlbfs;
  private final boolean tmpfs;
  private final boolean oneDeviceNumber;
  private final boolean created;

  /** Guarded by this; made when first needed. */
  private @Nullable MemoryMapping readable;

  /** Guarded by this; hugetlbfs only, which cannot be written by pwrite. */
  private @Nullable MemoryMapping writable;

  /** Guarded by this. */
  private boolean closed;

  RegionFile(
      ImageRegion region,
      LinuxFile file,
      long device,
      long inode,
      FileSystemStatus fileSystem,
      boolean created) {
    this.region = region;
    this.file = file;
    this.device = device;
    this.inode = inode;
    this.hugetlbfs = fileSystem.isHugetlbfs();
    this.tmpfs = fileSystem.isTmpfs();
    this.oneDeviceNumber = fileSystem.hasOneDeviceNumber();
    this.created = created;
  }

  ImageRegion region() {
    return region;
  }

  LinuxFile file() {
    return file;
  }

  boolean created() {
    return created;
  }

  boolean isFile(long otherDevice, long otherInode) {
    return inode == otherInode && (device == otherDevice || !oneDeviceNumber);
  }

  boolean isToldByMaps() {
    return oneDeviceNumber;
  }

  String identity() {
    return device + ":" + inode;
  }

  /** Whether what has its path is still this file. */
  boolean hasItsName() throws IOException {
    Path path = region.path();
    if (!Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) {
      return false;
    }
    try (LinuxFile there = LinuxFile.openToRead(path)) {
      FileStatus status = there.status();
      return device == status.device() && inode == status.inode();
    }
  }

  boolean sameFileAs(RegionFile other) {
    return device == other.device && inode == other.inode;
  }

  private long offset(long firstPage, long bytes) {
    if (bytes % PAGE != 0) {
      throw new IllegalArgumentException(bytes + " bytes are not whole pages");
    }
    Objects.checkFromIndexSize(firstPage, bytes / PAGE, region.pages());
    return firstPage * PAGE;
  }

  void read(long firstPage, ByteBuffer dst) throws IOException {
    file.read(offset(firstPage, dst.remaining()), dst);
  }

  @Nullable MemorySegment view(long firstPage, long count) throws IOException {
    long offset = offset(firstPage, count * PAGE);
    if (hugetlbfs) {
      return null;
    }
    return readable().segment().asSlice(offset, count * PAGE);
  }

  private synchronized MemoryMapping readable() throws IOException {
    requireOpen();
    if (readable == null) {
      readable = file.map(region.bytes(), false);
    }
    return readable;
  }

  private synchronized MemoryMapping writable() throws IOException {
    requireOpen();
    if (writable == null) {
      writable = file.map(region.bytes(), true);
    }
    return writable;
  }

  private void requireOpen() throws IOException {
    if (closed) {
      throw new IOException("image " + region.path() + " is closed");
    }
  }

  void write(long firstPage, ByteBuffer src) throws IOException {
    int bytes = src.remaining();
    long offset = offset(firstPage, bytes);
    if (hugetlbfs) {
      writable().segment().asSlice(offset, bytes).copyFrom(MemorySegment.ofBuffer(src));
      src.position(src.limit());
    } else {
      file.write(offset, src);
    }
  }

  void clear(long firstPage, long count) throws IOException {
    long offset = offset(firstPage, count * PAGE);
    try {
      // On hugetlbfs, where a huge page is punched in part only, the kernel zeroes that part.
      file.punch(offset, count * PAGE);
    } catch (LinuxException e) {
      if (e.errno() != Errno.EOPNOTSUPP) {
        throw e;
      }
      writeZeros(file, offset, count * PAGE);
    }
  }

  static void writeZeros(LinuxFile file, long offset, long bytes) throws IOException {
    ByteBuffer zeros = ByteBuffer.allocateDirect((int) Math.min(bytes, ZEROS));
    for (long done = 0; done < bytes; done += zeros.limit()) {
      zeros.position(0).limit((int) Math.min(bytes - done, ZEROS));
      file.write(offset + done, zeros);
    }
  }

  void warm(BooleanSupplier enough) throws IOException {
    if (!created || !tmpfs) {
      return;
    }
    ByteBuffer zeros = ByteBuffer.allocateDirect(ZEROS);
    for (long done = 0; done < region.bytes() && !enough.getAsBoolean(); done += zeros.limit()) {
      zeros.position(0).limit((int) Math.min(region.bytes() - done, ZEROS));
      file.write(done, zeros);
    }
  }

  PopulatedRuns populatedRuns() {
    return new PopulatedRuns(region, file, hugetlbfs);
  }

  long allocatedBytes() throws IOException {
    return file.status().allocatedBytes();
  }

  /** What it may still take. */
  long unoccupiedBytes() throws IOException {
    return Math.max(0, region.bytes() - allocatedBytes());
  }

  boolean isTmpfs() {
    return tmpfs;
  }

  @Override
  public void close() {
    PromisedSpace.forget(this);
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
      if (readable != null) {
        readable.close();
      }
      if (writable != null) {
        writable.close();
      }
    }
    file.close();
  }
}
