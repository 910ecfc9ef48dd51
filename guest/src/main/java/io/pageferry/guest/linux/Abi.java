package io.pageferry.guest.linux;

/**
 * Numbers and layouts of Linux, as its headers define them for 64-bit little-endian machines. A
 * test prints each of them from a C program and compares. A structure's members are given as byte
 * offsets, its size as {@code _BYTES}.
 */
final class Abi {
  private Abi() {}

  // fcntl.h, linux/falloc.h, unistd.h
  static final int O_RDONLY = 0;
  static final int O_RDWR = 2;
  static final int O_CREAT = 0x40;
  static final int O_EXCL = 0x80;
  static final int O_NONBLOCK = 0x800;
  static final int O_CLOEXEC = 0x80000;
  static final int F_OFD_SETLK = 37;
  static final int F_WRLCK = 1;
  static final int SEEK_DATA = 3;
  static final int SEEK_HOLE = 4;
  static final int FALLOC_FL_KEEP_SIZE = 1;
  static final int FALLOC_FL_PUNCH_HOLE = 2;

  // struct flock
  static final int FLOCK_BYTES = 32;
  static final int FLOCK_TYPE = 0;

  // struct statx, AT_EMPTY_PATH
  static final int AT_EMPTY_PATH = 0x1000;
  static final int STATX_BASIC_STATS = 0x7ff;
  static final int STATX_BYTES = 256;
  static final int STATX_BLKSIZE = 4;
  static final int STATX_MODE = 28;
  static final int STATX_INO = 32;
  static final int STATX_SIZE = 40;
  static final int STATX_BLOCKS = 48;
  static final int STATX_DEV_MAJOR = 136;
  static final int STATX_DEV_MINOR = 140;
  static final int S_IFMT = 0xf000;
  static final int S_IFREG = 0x8000;
  static final int S_IFDIR = 0x4000;

  // struct statfs, linux/magic.h
  static final int STATFS_BYTES = 120;
  static final int STATFS_TYPE = 0;
  static final int STATFS_BSIZE = 8;
  static final int STATFS_BLOCKS = 16;
  static final int STATFS_BAVAIL = 32;
  static final long TMPFS_MAGIC = 0x01021994;
  static final long HUGETLBFS_MAGIC = 0x958458f6L;
  static final long EXT4_SUPER_MAGIC = 0xef53;
  static final long XFS_SUPER_MAGIC = 0x58465342;

  // sched.h
  static final int SCHED_OTHER = 0;
  static final int SCHED_FIFO = 1;
  static final int SCHED_RESET_ON_FORK = 0x40000000;
  static final int SCHED_PARAM_BYTES = 4;

  // sys/mman.h
  static final int PROT_READ = 1;
  static final int PROT_WRITE = 2;
  static final int MAP_SHARED = 1;
  static final int MAP_PRIVATE = 2;
  static final int MAP_ANONYMOUS = 0x20;
  static final int MADV_DONTNEED = 4;
  static final int MADV_POPULATE_READ = 22;
  static final int MFD_CLOEXEC = 1;

  // sys/socket.h, sys/un.h, poll.h
  static final int AF_UNIX = 1;
  static final int SOCK_STREAM = 1;
  static final int SOCK_CLOEXEC = 0x80000;
  static final int SOCK_NONBLOCK = 0x800;
  static final int SOL_SOCKET = 1;
  static final int SCM_RIGHTS = 1;
  static final int SO_PEERCRED = 17;
  static final int MSG_CTRUNC = 8;
  static final int MSG_DONTWAIT = 0x40;
  static final int MSG_NOSIGNAL = 0x4000;
  static final int MSG_CMSG_CLOEXEC = 0x40000000;
  static final int SOCKADDR_UN_BYTES = 110;
  static final int SOCKADDR_UN_PATH = 2;
  static final int UCRED_BYTES = 12;
  static final int UCRED_PID = 0;
  static final int UCRED_UID = 4;
  static final int IOVEC_BYTES = 16;
  static final int IOVEC_LEN = 8;
  static final int MSGHDR_BYTES = 56;
  static final int MSGHDR_IOV = 16;
  static final int MSGHDR_IOVLEN = 24;
  static final int MSGHDR_CONTROL = 32;
  static final int MSGHDR_CONTROLLEN = 40;
  static final int MSGHDR_FLAGS = 48;
  static final int CMSGHDR_BYTES = 16;
  static final int CMSGHDR_LEVEL = 8;
  static final int CMSGHDR_TYPE = 12;
  static final int CMSG_ALIGNMENT = 8;
  static final int POLLFD_BYTES = 8;
  static final int POLLFD_EVENTS = 4;
  static final int POLLFD_REVENTS = 6;
  static final int POLLIN = 1;
  static final int POLLOUT = 4;
  static final int POLLERR = 8;
  static final int POLLHUP = 16;
  static final int POLLRDHUP = 0x2000;

  // sys/syscall.h; the first one is the only number that differs between the two machines
  static final long SYS_USERFAULTFD = "aarch64".equals(System.getProperty("os.arch")) ? 282 : 323;
  static final long SYS_PIDFD_OPEN = 434;
  static final long SYS_PIDFD_GETFD = 438;

  // sched.h
  static final int CLONE_NEWNET = 0x40000000;

  // linux/userfaultfd.h
  static final long UFFD_API = 0xaa;
  static final int UFFD_USER_MODE_ONLY = 1;
  static final long USERFAULTFD_IOC_NEW = 0xaa00;
  static final long UFFDIO_API = 0xc018aa3fL;
  static final long UFFDIO_REGISTER = 0xc020aa00L;
  static final long UFFDIO_UNREGISTER = 0x8010aa01L;
  static final long UFFDIO_WAKE = 0x8010aa02L;
  static final long UFFDIO_COPY = 0xc028aa03L;
  static final long UFFDIO_ZEROPAGE = 0xc020aa04L;
  static final int UFFDIO_API_BYTES = 24;
  static final int UFFDIO_API_FEATURES = 8;
  static final int UFFDIO_REGISTER_BYTES = 32;
  static final int UFFDIO_REGISTER_MODE = 16;
  static final int UFFDIO_RANGE_BYTES = 16;
  static final int UFFDIO_RANGE_LEN = 8;
  static final int UFFDIO_COPY_BYTES = 40;
  static final int UFFDIO_COPY_SRC = 8;
  static final int UFFDIO_COPY_LEN = 16;
  static final int UFFDIO_COPY_COPY = 32;
  static final int UFFDIO_ZEROPAGE_BYTES = 32;
  static final int UFFDIO_ZEROPAGE_LEN = 8;
  static final int UFFDIO_ZEROPAGE_ZEROPAGE = 24;
  static final int UFFD_MSG_BYTES = 32;
  static final int UFFD_MSG_PAGEFAULT_ADDRESS = 16;
  static final int UFFD_MSG_FORK_UFD = 8;
  static final int UFFD_MSG_REMOVE_START = 8;
  static final int UFFD_MSG_REMOVE_END = 16;
  static final int UFFD_EVENT_PAGEFAULT = 0x12;
  static final int UFFD_EVENT_FORK = 0x13;
  static final int UFFD_EVENT_REMOVE = 0x15;
  static final int UFFD_EVENT_UNMAP = 0x16;
  static final long UFFDIO_REGISTER_MODE_MISSING = 1;
  static final long UFFDIO_REGISTER_MODE_WP = 2;
  static final long UFFD_FEATURE_EVENT_REMOVE = 1L << 3;
  static final long UFFD_FEATURE_MISSING_HUGETLBFS = 1L << 4;
  static final long UFFD_FEATURE_MISSING_SHMEM = 1L << 5;
  static final long UFFD_FEATURE_WP_HUGETLBFS_SHMEM = 1L << 12;
  static final long UFFD_FEATURE_WP_UNPOPULATED = 1L << 13;
  static final long UFFD_FEATURE_WP_ASYNC = 1L << 15;

  // linux/fs.h of 6.7: PAGEMAP_SCAN with struct pm_scan_arg and struct page_region
  static final long PAGEMAP_SCAN = 0xc0606610L;
  static final int PM_SCAN_ARG_BYTES = 96;
  static final int PM_SCAN_SIZE = 0;
  static final int PM_SCAN_FLAGS = 8;
  static final int PM_SCAN_START = 16;
  static final int PM_SCAN_END = 24;
  static final int PM_SCAN_WALK_END = 32;
  static final int PM_SCAN_VEC = 40;
  static final int PM_SCAN_VEC_LEN = 48;
  static final int PM_SCAN_CATEGORY_INVERTED = 64;
  static final int PM_SCAN_CATEGORY_MASK = 72;
  static final int PM_SCAN_CATEGORY_ANYOF_MASK = 80;
  static final int PM_SCAN_RETURN_MASK = 88;
  static final int PAGE_REGION_BYTES = 24;
  static final int PAGE_REGION_END = 8;
  static final long PM_SCAN_WP_MATCHING = 1;
  static final long PM_SCAN_CHECK_WPASYNC = 2;
  static final long PAGE_IS_WPALLOWED = 1;
  static final long PAGE_IS_WRITTEN = 2;
  static final long PAGE_IS_PRESENT = 8;
  static final long PAGE_IS_SWAPPED = 16;

  // sys/ptrace.h, linux/ptrace.h, linux/elf.h, sys/wait.h, signal.h
  static final int PTRACE_CONT = 7;
  static final int PTRACE_SINGLESTEP = 9;
  static final int PTRACE_DETACH = 17;
  static final int PTRACE_GETREGSET = 0x4204;
  static final int PTRACE_SETREGSET = 0x4205;
  static final int PTRACE_SEIZE = 0x4206;
  static final int PTRACE_INTERRUPT = 0x4207;
  static final int PTRACE_EVENT_STOP = 128;
  static final long NT_PRSTATUS = 1;
  static final int WNOHANG = 1;
  static final int WALL = 0x40000000;
  static final int SIGTRAP = 5;
  static final int SIGSYS = 31;
}
