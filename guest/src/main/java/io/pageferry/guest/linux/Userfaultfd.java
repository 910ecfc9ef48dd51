package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;

/**
 * A userfaultfd: the kernel's way to tell one process about another's page faults. It belongs to
 * the address space of the process that made it, whoever holds the descriptor; addresses are those
 * of that process.
 *
 * <p>Any thread may use it.
 */
public final class Userfaultfd implements AutoCloseable {
  static final Path DEVICE = Path.of("/dev/userfaultfd");

  /** The kernel's own mark among the features that {@link #enable} has succeeded. */
  private static final long INITIALIZED = 1L << 31;

  /** Where a thread puts the argument of a call; lives as long as the thread. */
  private static final ThreadLocal<MemorySegment> ARGUMENT =
      ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(Abi.UFFDIO_COPY_BYTES, 8));

  private final Descriptor descriptor;

  Userfaultfd(Descriptor descriptor) {
    this.descriptor = descriptor;
  }

  /** How a process may come by a userfaultfd, the narrowest grant last asked for. */
  public enum Access {
    /** By opening /dev/userfaultfd: only who has been given the device. */
    DEVICE,
    /** By the system call, for faults in the kernel too: needs privilege or a sysctl. */
    SYSTEM_CALL,
    /** By the system call, for faults in user mode only: anybody may, unless seccomp forbids it. */
    USER_MODE_ONLY
  }

  /**
   * Makes one for this process, for faults in the kernel too where that is allowed.
   *
   * <p>User mode only means that a system call of this process that touches a watched page which is
   * missing fails with EFAULT. Asynchronous write protection is not affected: the kernel resolves
   * that fault itself.
   */
  public static Userfaultfd open() throws LinuxException {
    LinuxException refused = null;
    for (Access access : Access.values()) {
      try {
        return open(access);
      } catch (LinuxException e) {
        refused = e;
      }
    }
    throw refused == null ? new LinuxException(Errno.ENOSYS, "userfaultfd") : refused;
  }

  /** Makes one in this way and no other. */
  public static Userfaultfd open(Access access) throws LinuxException {
    int flags = Abi.O_CLOEXEC | Abi.O_NONBLOCK;
    return switch (access) {
      case DEVICE -> openDevice(flags);
      case SYSTEM_CALL ->
          new Userfaultfd(Descriptor.of(LinuxCalls.userfaultfd(flags), "userfaultfd"));
      case USER_MODE_ONLY ->
          new Userfaultfd(
              Descriptor.of(
                  LinuxCalls.userfaultfd(flags | Abi.UFFD_USER_MODE_ONLY),
                  "userfaultfd(user mode only)"));
    };
  }

  private static Userfaultfd openDevice(int flags) throws LinuxException {
    try (Arena arena = Arena.ofConfined();
        Descriptor device =
            Descriptor.of(
                LinuxCalls.open(
                    arena.allocateFrom(DEVICE.toString()), Abi.O_RDWR | Abi.O_CLOEXEC, 0),
                "open " + DEVICE)) {
      int number = device.acquire();
      try {
        return new Userfaultfd(
            Descriptor.of(
                LinuxCalls.ioctl(number, Abi.USERFAULTFD_IOC_NEW, (long) flags),
                "ioctl(USERFAULTFD_IOC_NEW)"));
      } finally {
        device.release();
      }
    } catch (LinuxException e) {
      throw e;
    } catch (IOException e) {
      throw new IllegalStateException("nobody else can have closed it", e);
    }
  }

  /** What a range is watched for; the modes may be combined. */
  public enum Watch {
    MISSING(Abi.UFFDIO_REGISTER_MODE_MISSING),
    WRITE_PROTECT(Abi.UFFDIO_REGISTER_MODE_WP);

    private final long bit;

    Watch(long bit) {
      this.bit = bit;
    }
  }

  /** The features that asynchronous write protection of shared memory needs. */
  public static long writeProtectFeatures() {
    return Abi.UFFD_FEATURE_WP_ASYNC | Abi.UFFD_FEATURE_WP_HUGETLBFS_SHMEM;
  }

  /** The features that serving missing pages of shared memory needs. */
  public static long missingFeatures(boolean hugePages) {
    return Abi.UFFD_FEATURE_MISSING_SHMEM
        | Abi.UFFD_FEATURE_EVENT_REMOVE
        | (hugePages ? Abi.UFFD_FEATURE_MISSING_HUGETLBFS : 0);
  }

  /**
   * Agrees with the kernel on features. Works once per descriptor.
   *
   * @return every feature that the kernel knows
   * @throws LinuxException EINVAL if the kernel lacks one that is asked for
   */
  public long enable(long features) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment api = arena.allocate(Abi.UFFDIO_API_BYTES, 8);
      api.set(JAVA_LONG_UNALIGNED, 0, Abi.UFFD_API);
      api.set(JAVA_LONG_UNALIGNED, Abi.UFFDIO_API_FEATURES, features);
      ioctl(Abi.UFFDIO_API, api, "ioctl(UFFDIO_API)");
      return api.get(JAVA_LONG_UNALIGNED, Abi.UFFDIO_API_FEATURES);
    }
  }

  /**
   * The features that were agreed on, whoever did; those that the kernel adds on its own account
   * are left out.
   *
   * @return empty while nothing was agreed on
   * @throws IOException also if this is no userfaultfd
   */
  public OptionalLong enabledFeatures() throws IOException {
    int number = descriptor.acquire();
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/fdinfo/" + number))) {
        // API:<tab>aa:<features of this one, hexadecimal>:<what the kernel has>
        if (line.startsWith("API:")) {
          long features = Long.parseUnsignedLong(line.substring(4).strip().split(":", 3)[1], 16);
          return features == 0
              ? OptionalLong.empty()
              : OptionalLong.of(features & ~(INITIALIZED | Abi.UFFD_FEATURE_WP_UNPOPULATED));
        }
      }
      throw new IOException("not a userfaultfd");
    } finally {
      descriptor.release();
    }
  }

  /**
   * Watches a range.
   *
   * @throws LinuxException EBUSY if another userfaultfd watches it
   */
  public void register(long address, long bytes, Watch... watches) throws IOException {
    long mode = 0;
    for (Watch watch : watches) {
      mode |= watch.bit;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment register = range(arena, address, bytes, Abi.UFFDIO_REGISTER_BYTES);
      register.set(JAVA_LONG_UNALIGNED, Abi.UFFDIO_REGISTER_MODE, mode);
      ioctl(Abi.UFFDIO_REGISTER, register, "ioctl(UFFDIO_REGISTER)");
    }
  }

  /**
   * Ends the watch over a range. Its write protection goes with it, and threads that wait for a
   * missing page in it go on with an empty one.
   */
  public void unregister(long address, long bytes) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      ioctl(
          Abi.UFFDIO_UNREGISTER,
          range(arena, address, bytes, Abi.UFFDIO_RANGE_BYTES),
          "ioctl(UFFDIO_UNREGISTER)");
    }
    // The kernel wakes who waits before it shuts out who is on the way to wait (seen in 6.18): one
    // that began to fault in between would sleep for ever.
    wake(address, bytes);
  }

  /**
   * Puts pages where none are and wakes whoever waits for them. What this does becomes visible to
   * the guest page by page, each as a whole.
   *
   * @param destination in the guest's process, a multiple of its page size there
   * @param source in this process
   * @param bytes whole pages
   * @return how many bytes were put there, from the first on; or the negated {@link Errno} if none:
   *     EEXIST if the first page is there already, EAGAIN while an event is queued, ENOENT if the
   *     range is not (or no longer wholly) watched, ESRCH if the guest's process has ended, ENOMEM
   * @throws IOException if this descriptor has been closed
   */
  public long copy(long destination, long source, long bytes) throws IOException {
    MemorySegment copy = ARGUMENT.get();
    copy.set(JAVA_LONG_UNALIGNED, 0, destination);
    copy.set(JAVA_LONG_UNALIGNED, Abi.UFFDIO_COPY_SRC, source);
    copy.set(JAVA_LONG_UNALIGNED, Abi.UFFDIO_COPY_LEN, bytes);
    copy.set(JAVA_LONG_UNALIGNED, Abi.UFFDIO_COPY_LEN + 8, 0);
    return serve(Abi.UFFDIO_COPY, copy, Abi.UFFDIO_COPY_COPY, bytes);
  }

  /**
   * Puts pages of zeros where none are and wakes whoever waits for them; not for huge pages.
   *
   * @return as {@link #copy}
   */
  public long zeroPage(long address, long bytes) throws IOException {
    MemorySegment zero = ARGUMENT.get();
    zero.set(JAVA_LONG_UNALIGNED, 0, address);
    zero.set(JAVA_LONG_UNALIGNED, Abi.UFFDIO_ZEROPAGE_LEN, bytes);
    zero.set(JAVA_LONG_UNALIGNED, Abi.UFFDIO_ZEROPAGE_LEN + 8, 0);
    return serve(Abi.UFFDIO_ZEROPAGE, zero, Abi.UFFDIO_ZEROPAGE_ZEROPAGE, bytes);
  }

  private long serve(long request, MemorySegment argument, long done, long bytes)
      throws IOException {
    // A kernel that refuses before it begins may leave the count as it was.
    argument.set(JAVA_LONG_UNALIGNED, done, 0);
    int number = descriptor.acquire();
    int result;
    try {
      result = LinuxCalls.ioctl(number, request, argument);
    } finally {
      descriptor.release();
    }
    if (result >= 0) {
      return bytes;
    }
    long part = argument.get(JAVA_LONG_UNALIGNED, done);
    return part > 0 ? part : result;
  }

  /**
   * Has the threads that wait in a range touch their page again: they go on if it is there, and
   * fault anew if not.
   */
  public void wake(long address, long bytes) throws IOException {
    MemorySegment range = ARGUMENT.get();
    range.set(JAVA_LONG_UNALIGNED, 0, address);
    range.set(JAVA_LONG_UNALIGNED, Abi.UFFDIO_RANGE_LEN, bytes);
    ioctl(Abi.UFFDIO_WAKE, range, "ioctl(UFFDIO_WAKE)");
  }

  /**
   * Waits for something to read.
   *
   * @return false if the time is over
   * @throws IOException if it is not in non-blocking mode, which the kernel does not let poll
   */
  public boolean poll(int millis) throws IOException {
    MemorySegment entry = ARGUMENT.get();
    int number = descriptor.acquire();
    try {
      entry.set(JAVA_INT_UNALIGNED, 0, number);
      entry.set(JAVA_SHORT_UNALIGNED, Abi.POLLFD_EVENTS, (short) Abi.POLLIN);
      LinuxCalls.check(LinuxCalls.poll(entry, 1, millis), "poll");
    } finally {
      descriptor.release();
    }
    int events = entry.get(JAVA_SHORT_UNALIGNED, Abi.POLLFD_REVENTS);
    if ((events & Abi.POLLERR) != 0) {
      throw new IOException(
          "the userfaultfd cannot be waited on: its owner has not agreed on its features, or has"
              + " opened it in blocking mode");
    }
    return events != 0;
  }

  /**
   * Reads what is queued, at most as much as the buffer holds; does not wait. Page faults come
   * first, whatever the order in which it all happened.
   *
   * @return how many there are in the buffer now
   */
  public int read(FaultEvents events) throws IOException {
    int number = descriptor.acquire();
    try {
      long bytes = LinuxCalls.read(number, events.buffer());
      if (bytes == -Errno.EAGAIN) {
        return events.filled(0);
      }
      return events.filled(LinuxCalls.check(bytes, "read(userfaultfd)"));
    } finally {
      descriptor.release();
    }
  }

  private static MemorySegment range(Arena arena, long address, long bytes, int size) {
    MemorySegment range = arena.allocate(size, 8);
    range.set(JAVA_LONG_UNALIGNED, 0, address);
    range.set(JAVA_LONG_UNALIGNED, Abi.UFFDIO_RANGE_LEN, bytes);
    return range;
  }

  private void ioctl(long request, MemorySegment argument, String call) throws IOException {
    int number = descriptor.acquire();
    try {
      LinuxCalls.check(LinuxCalls.ioctl(number, request, argument), call);
    } finally {
      descriptor.release();
    }
  }

  /** To be passed over a socket. */
  public Descriptor descriptor() {
    return descriptor;
  }

  /** How the system call is to make one for use from outside, the best way first. */
  public static long[] callFlags(boolean userModeOnlyToo) {
    long flags = Abi.O_CLOEXEC | Abi.O_NONBLOCK;
    return userModeOnlyToo
        ? new long[] {flags, flags | Abi.UFFD_USER_MODE_ONLY}
        : new long[] {flags};
  }

  /**
   * Takes over a descriptor that came over a socket. Whether it is a userfaultfd shows in its use.
   */
  public static Userfaultfd received(Descriptor descriptor) {
    return new Userfaultfd(descriptor);
  }

  /**
   * The numbers under which a process has userfaultfds open.
   *
   * @throws IOException if it has ended, or without the right to trace it
   */
  public static List<Integer> heldBy(int pid) throws IOException {
    List<Integer> found = new ArrayList<>();
    try (DirectoryStream<Path> open = Files.newDirectoryStream(Path.of("/proc/" + pid + "/fd"))) {
      for (Path one : open) {
        if (isUserfaultfd(one)) {
          found.add(Integer.valueOf(String.valueOf(one.getFileName())));
        }
      }
    } catch (DirectoryIteratorException e) {
      throw e.getCause();
    }
    return found;
  }

  private static boolean isUserfaultfd(Path link) throws IOException {
    try {
      return Files.readSymbolicLink(link).toString().equals("anon_inode:[userfaultfd]");
    } catch (NoSuchFileException e) {
      // Closed meanwhile.
      return false;
    }
  }

  /** Ends every watch of this descriptor, unless another process holds a copy of it. */
  @Override
  public void close() {
    descriptor.close();
  }
}
