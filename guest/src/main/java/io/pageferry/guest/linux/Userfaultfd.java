package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/**
 * A userfaultfd: the kernel's way to tell one process about another's page faults. It belongs to
 * the address space of the process that made it, whoever holds the descriptor; addresses are those
 * of that process.
 *
 * <p>Any thread may use it.
 */
public final class Userfaultfd implements AutoCloseable {
  static final Path DEVICE = Path.of("/dev/userfaultfd");

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

  /**
   * Takes over a descriptor that came over a socket. Whether it is a userfaultfd shows in its use.
   */
  public static Userfaultfd received(Descriptor descriptor) {
    return new Userfaultfd(descriptor);
  }

  /** Ends every watch of this descriptor, unless another process holds a copy of it. */
  @Override
  public void close() {
    descriptor.close();
  }
}
