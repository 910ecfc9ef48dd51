package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;

/**
 * An open file, by the calls that {@link java.nio.channels.FileChannel} does not have or does not
 * do alike: a file channel closes itself when a thread that uses it is interrupted, and an image
 * must survive that the migration is cancelled.
 *
 * <p>Any thread may use it; a call that runs while it is being closed finishes first.
 */
public final class LinuxFile implements AutoCloseable {
  private final Descriptor descriptor;
  private final Path path;

  private LinuxFile(Descriptor descriptor, Path path) {
    this.descriptor = descriptor;
    this.path = path;
  }

  /** Opens an existing file to read and write. A name that is a FIFO does not block. */
  public static LinuxFile open(Path path) throws LinuxException {
    return open(path, Abi.O_RDWR | Abi.O_NONBLOCK, 0);
  }

  /** Opens an existing file to read. */
  public static LinuxFile openToRead(Path path) throws LinuxException {
    return open(path, Abi.O_RDONLY | Abi.O_NONBLOCK, 0);
  }

  /** Makes a file that must not exist, readable and writable by its owner only. */
  public static LinuxFile create(Path path) throws LinuxException {
    return open(path, Abi.O_RDWR | Abi.O_CREAT | Abi.O_EXCL, 0600);
  }

  /** Makes a file without a name, in memory; it is gone with its last descriptor and mapping. */
  public static LinuxFile inMemory(String name) throws LinuxException {
    try (Arena arena = Arena.ofConfined()) {
      int result = LinuxCalls.memfdCreate(arena.allocateFrom(name), Abi.MFD_CLOEXEC);
      Descriptor made = Descriptor.of(result, "memfd_create");
      return new LinuxFile(made, Path.of("/proc/self/fd/" + result));
    }
  }

  private static LinuxFile open(Path path, int flags, int mode) throws LinuxException {
    try (Arena arena = Arena.ofConfined()) {
      int result =
          LinuxCalls.open(arena.allocateFrom(path.toString()), flags | Abi.O_CLOEXEC, mode);
      return new LinuxFile(Descriptor.of(result, "open " + path), path);
    }
  }

  Descriptor descriptor() {
    return descriptor;
  }

  public Path path() {
    return path;
  }

  /**
   * Fills the buffer from its position to its limit. What lies in a hole reads as zeros, and the
   * hole stays one.
   *
   * @throws EOFException if the file ends before
   */
  public void read(long offset, ByteBuffer dst) throws IOException {
    MemorySegment target = MemorySegment.ofBuffer(dst);
    if (target.isNative()) {
      read(offset, target);
    } else {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment between = arena.allocate(dst.remaining());
        read(offset, between);
        target.copyFrom(between);
      }
    }
    dst.position(dst.limit());
  }

  /** As {@link #read(long, ByteBuffer)}; {@code dst} must be off heap. */
  public void read(long offset, MemorySegment dst) throws IOException {
    int number = descriptor.acquire();
    try {
      long done = 0;
      while (done < dst.byteSize()) {
        long n = LinuxCalls.pread(number, dst.asSlice(done), offset + done);
        LinuxCalls.check(n, "pread " + path);
        if (n == 0) {
          throw new EOFException(path + " ends at " + (offset + done) + ": it was made smaller");
        }
        done += n;
      }
    } finally {
      descriptor.release();
    }
  }

  /** Writes what is between the buffer's position and its limit. */
  public void write(long offset, ByteBuffer src) throws IOException {
    MemorySegment source = MemorySegment.ofBuffer(src);
    if (source.isNative()) {
      write(offset, source);
    } else {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment between = arena.allocate(src.remaining());
        between.copyFrom(source);
        write(offset, between);
      }
    }
    src.position(src.limit());
  }

  /** As {@link #write(long, ByteBuffer)}; {@code src} must be off heap. */
  public void write(long offset, MemorySegment src) throws IOException {
    int number = descriptor.acquire();
    try {
      long done = 0;
      while (done < src.byteSize()) {
        long n = LinuxCalls.pwrite(number, src.asSlice(done), offset + done);
        done += LinuxCalls.check(n, "pwrite " + path);
      }
    } finally {
      descriptor.release();
    }
  }

  /** Sets the size; what is added is a hole. */
  public void setSize(long bytes) throws IOException {
    with("ftruncate " + path, number -> LinuxCalls.ftruncate(number, bytes));
  }

  /** Allocates the range, so that writing to it cannot fail for want of space. */
  public void allocate(long offset, long bytes) throws IOException {
    with("fallocate " + path, number -> LinuxCalls.fallocate(number, 0, offset, bytes));
  }

  /** Makes the range a hole: it reads as zeros and its memory or disk space is given back. */
  public void punch(long offset, long bytes) throws IOException {
    int mode = Abi.FALLOC_FL_PUNCH_HOLE | Abi.FALLOC_FL_KEEP_SIZE;
    with("fallocate(punch) " + path, number -> LinuxCalls.fallocate(number, mode, offset, bytes));
  }

  /** Where content begins at or after {@code offset}; -1 when there is none. */
  public long seekData(long offset) throws IOException {
    int number = descriptor.acquire();
    try {
      long found = LinuxCalls.lseek(number, offset, Abi.SEEK_DATA);
      if (found == -Errno.ENXIO) {
        return -1;
      }
      return LinuxCalls.check(found, "lseek(SEEK_DATA) " + path);
    } finally {
      descriptor.release();
    }
  }

  /** Where content ends at or after {@code offset}: at a hole, or the end of the file. */
  public long seekHole(long offset) throws IOException {
    return with(
        "lseek(SEEK_HOLE) " + path, number -> LinuxCalls.lseek(number, offset, Abi.SEEK_HOLE));
  }

  public FileStatus status() throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment s = arena.allocate(Abi.STATX_BYTES, 8);
      with(
          "statx " + path,
          number ->
              LinuxCalls.statx(
                  number, arena.allocateFrom(""), Abi.AT_EMPTY_PATH, Abi.STATX_BASIC_STATS, s));
      int kind = s.get(JAVA_SHORT_UNALIGNED, Abi.STATX_MODE) & Abi.S_IFMT;
      return new FileStatus(
          ((long) s.get(JAVA_INT_UNALIGNED, Abi.STATX_DEV_MAJOR) << 32)
              | s.get(JAVA_INT_UNALIGNED, Abi.STATX_DEV_MINOR),
          s.get(JAVA_LONG_UNALIGNED, Abi.STATX_INO),
          s.get(JAVA_LONG_UNALIGNED, Abi.STATX_SIZE),
          s.get(JAVA_INT_UNALIGNED, Abi.STATX_BLKSIZE),
          s.get(JAVA_LONG_UNALIGNED, Abi.STATX_BLOCKS) * 512,
          kind == Abi.S_IFREG
              ? FileStatus.Kind.REGULAR
              : kind == Abi.S_IFDIR ? FileStatus.Kind.FOLDER : FileStatus.Kind.OTHER);
    }
  }

  /** The file system that this file is on. */
  public FileSystemStatus fileSystem() throws IOException {
    int number = descriptor.acquire();
    try {
      // By way of /proc: a memfd is on a file system that no other path leads to.
      return fileSystemOf(Path.of("/proc/self/fd/" + number));
    } finally {
      descriptor.release();
    }
  }

  /** The file system that {@code path} is on; it must exist. */
  public static FileSystemStatus fileSystemOf(Path path) throws LinuxException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment s = arena.allocate(Abi.STATFS_BYTES, 8);
      LinuxCalls.check(LinuxCalls.statfs(arena.allocateFrom(path.toString()), s), "statfs " + path);
      long block = s.get(JAVA_LONG_UNALIGNED, Abi.STATFS_BSIZE);
      return new FileSystemStatus(
          s.get(JAVA_LONG_UNALIGNED, Abi.STATFS_TYPE),
          (int) block,
          saturated(s.get(JAVA_LONG_UNALIGNED, Abi.STATFS_BLOCKS), block),
          saturated(s.get(JAVA_LONG_UNALIGNED, Abi.STATFS_BAVAIL), block));
    }
  }

  private static long saturated(long blocks, long blockBytes) {
    // An unlimited hugetlbfs answers with -1.
    return blocks < 0 || blocks > Long.MAX_VALUE / blockBytes
        ? Long.MAX_VALUE
        : blocks * blockBytes;
  }

  /**
   * Locks the whole file against every other open file description, in this process or another, by
   * an open file description lock. Unlike a classic POSIX lock it is not lost when this process
   * closes some other descriptor of the same file, and a child process that has execed does not
   * hold it. Closing this file gives it back; so does the death of the process.
   *
   * @return false if somebody else holds it
   */
  public boolean tryLock() throws IOException {
    int number = descriptor.acquire();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment lock = arena.allocate(Abi.FLOCK_BYTES, 8);
      lock.set(JAVA_SHORT_UNALIGNED, Abi.FLOCK_TYPE, (short) Abi.F_WRLCK);
      int result = LinuxCalls.fcntl(number, Abi.F_OFD_SETLK, lock);
      if (result == -Errno.EAGAIN || result == -Errno.EACCES) {
        return false;
      }
      LinuxCalls.check(result, "fcntl(F_OFD_SETLK) " + path);
      return true;
    } finally {
      descriptor.release();
    }
  }

  /** Maps the file from its beginning, shared with everybody else who has mapped it. */
  public MemoryMapping map(long bytes, boolean writable) throws IOException {
    int protection = writable ? Abi.PROT_READ | Abi.PROT_WRITE : Abi.PROT_READ;
    long address =
        with(
            "mmap " + path,
            number -> LinuxCalls.mmap(bytes, protection, Abi.MAP_SHARED, number, 0));
    return new MemoryMapping(address, bytes);
  }

  @FunctionalInterface
  private interface NumberedCall {
    long on(int number);
  }

  private long with(String name, NumberedCall call) throws IOException {
    int number = descriptor.acquire();
    try {
      return LinuxCalls.check(call.on(number), name);
    } finally {
      descriptor.release();
    }
  }

  @Override
  public void close() {
    descriptor.close();
  }

  @Override
  public String toString() {
    return path.toString();
  }
}
