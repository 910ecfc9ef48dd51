package io.pageferry.guest.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Our numbers against the C compiler's. */
class AbiTest {
  /**
   * Every constant of {@link Abi}, by its name there, as C has it. What headers older than 6.7 lack
   * is declared here as the kernel's documentation gives it, and its numbers computed by the
   * header's own macros from those declarations.
   */
  private static final String C =
      """
      #define _GNU_SOURCE
      #include <stddef.h>
      #include <stdint.h>
      #include <stdio.h>
      #include <fcntl.h>
      #include <poll.h>
      #include <sched.h>
      #include <unistd.h>
      #include <sys/ioctl.h>
      #include <sys/mman.h>
      #include <sys/socket.h>
      #include <sys/stat.h>
      #include <sys/syscall.h>
      #include <sys/un.h>
      #include <sys/vfs.h>
      #include <signal.h>
      #include <sys/ptrace.h>
      #include <sys/wait.h>
      #include <linux/elf.h>
      #include <linux/falloc.h>
      #include <linux/magic.h>
      #include <linux/userfaultfd.h>
      #ifndef XFS_SUPER_MAGIC
      #define XFS_SUPER_MAGIC 0x58465342
      #endif
      #ifndef UFFD_FEATURE_WP_UNPOPULATED
      #define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
      #endif
      #ifndef UFFD_FEATURE_WP_ASYNC
      #define UFFD_FEATURE_WP_ASYNC (1 << 15)
      #endif
      #ifndef PAGEMAP_SCAN
      struct page_region { uint64_t start, end, categories; };
      struct pm_scan_arg {
        uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
        uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
      };
      #define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
      #define PM_SCAN_WP_MATCHING (1 << 0)
      #define PM_SCAN_CHECK_WPASYNC (1 << 1)
      #define PAGE_IS_WPALLOWED (1 << 0)
      #define PAGE_IS_WRITTEN (1 << 1)
      #define PAGE_IS_PRESENT (1 << 3)
      #define PAGE_IS_SWAPPED (1 << 4)
      #endif
      #define N(name, value) printf("%s %lld\\n", name, (long long) (value))
      #define C(constant) N(#constant, constant)
      #define O(name, type, member) N(name, offsetof(struct type, member))
      int main(void) {
        C(O_RDONLY); C(O_RDWR); C(O_CREAT); C(O_EXCL); C(O_NONBLOCK); C(O_CLOEXEC);
        C(F_OFD_SETLK); C(F_WRLCK); C(SEEK_DATA); C(SEEK_HOLE);
        C(FALLOC_FL_KEEP_SIZE); C(FALLOC_FL_PUNCH_HOLE);
        N("FLOCK_BYTES", sizeof(struct flock)); O("FLOCK_TYPE", flock, l_type);
        C(CLONE_NEWNET); C(AT_EMPTY_PATH); C(STATX_BASIC_STATS);
        N("STATX_BYTES", sizeof(struct statx)); O("STATX_BLKSIZE", statx, stx_blksize);
        O("STATX_MODE", statx, stx_mode); O("STATX_INO", statx, stx_ino);
        O("STATX_SIZE", statx, stx_size); O("STATX_BLOCKS", statx, stx_blocks);
        O("STATX_DEV_MAJOR", statx, stx_dev_major); O("STATX_DEV_MINOR", statx, stx_dev_minor);
        C(S_IFMT); C(S_IFREG); C(S_IFDIR);
        N("STATFS_BYTES", sizeof(struct statfs)); O("STATFS_TYPE", statfs, f_type);
        O("STATFS_BSIZE", statfs, f_bsize); O("STATFS_BLOCKS", statfs, f_blocks);
        O("STATFS_BAVAIL", statfs, f_bavail);
        C(TMPFS_MAGIC); C(HUGETLBFS_MAGIC); C(EXT4_SUPER_MAGIC); C(XFS_SUPER_MAGIC);
        C(SCHED_OTHER); C(SCHED_FIFO); C(SCHED_RESET_ON_FORK);
        N("SCHED_PARAM_BYTES", sizeof(struct sched_param));
        C(PROT_READ); C(PROT_WRITE); C(MAP_SHARED); C(MAP_PRIVATE); C(MAP_ANONYMOUS);
        C(MADV_DONTNEED); C(MADV_POPULATE_READ); C(MFD_CLOEXEC);
        C(AF_UNIX); C(SOCK_STREAM); C(SOCK_CLOEXEC); C(SOCK_NONBLOCK); C(SOL_SOCKET);
        C(SCM_RIGHTS); C(SO_PEERCRED); C(MSG_CTRUNC); C(MSG_DONTWAIT); C(MSG_NOSIGNAL);
        C(MSG_CMSG_CLOEXEC);
        N("SOCKADDR_UN_BYTES", sizeof(struct sockaddr_un));
        O("SOCKADDR_UN_PATH", sockaddr_un, sun_path);
        N("UCRED_BYTES", sizeof(struct ucred)); O("UCRED_PID", ucred, pid);
        O("UCRED_UID", ucred, uid);
        N("IOVEC_BYTES", sizeof(struct iovec)); O("IOVEC_LEN", iovec, iov_len);
        N("MSGHDR_BYTES", sizeof(struct msghdr)); O("MSGHDR_IOV", msghdr, msg_iov);
        O("MSGHDR_IOVLEN", msghdr, msg_iovlen); O("MSGHDR_CONTROL", msghdr, msg_control);
        O("MSGHDR_CONTROLLEN", msghdr, msg_controllen); O("MSGHDR_FLAGS", msghdr, msg_flags);
        N("CMSGHDR_BYTES", CMSG_LEN(0)); O("CMSGHDR_LEVEL", cmsghdr, cmsg_level);
        O("CMSGHDR_TYPE", cmsghdr, cmsg_type); N("CMSG_ALIGNMENT", CMSG_ALIGN(1));
        N("POLLFD_BYTES", sizeof(struct pollfd)); O("POLLFD_EVENTS", pollfd, events);
        O("POLLFD_REVENTS", pollfd, revents);
        C(POLLIN); C(POLLOUT); C(POLLERR); C(POLLHUP); C(POLLRDHUP);
        N("SYS_USERFAULTFD", SYS_userfaultfd); N("SYS_PIDFD_OPEN", SYS_pidfd_open);
        N("SYS_PIDFD_GETFD", SYS_pidfd_getfd);
        C(UFFD_API); C(UFFD_USER_MODE_ONLY); C(USERFAULTFD_IOC_NEW);
        C(UFFDIO_API); C(UFFDIO_REGISTER); C(UFFDIO_UNREGISTER);
        N("UFFDIO_API_BYTES", sizeof(struct uffdio_api));
        O("UFFDIO_API_FEATURES", uffdio_api, features);
        N("UFFDIO_REGISTER_BYTES", sizeof(struct uffdio_register));
        O("UFFDIO_REGISTER_MODE", uffdio_register, mode);
        N("UFFDIO_RANGE_BYTES", sizeof(struct uffdio_range));
        O("UFFDIO_RANGE_LEN", uffdio_range, len);
        C(UFFDIO_WAKE); C(UFFDIO_COPY); C(UFFDIO_ZEROPAGE);
        N("UFFDIO_COPY_BYTES", sizeof(struct uffdio_copy));
        O("UFFDIO_COPY_SRC", uffdio_copy, src); O("UFFDIO_COPY_LEN", uffdio_copy, len);
        O("UFFDIO_COPY_COPY", uffdio_copy, copy);
        N("UFFDIO_ZEROPAGE_BYTES", sizeof(struct uffdio_zeropage));
        O("UFFDIO_ZEROPAGE_LEN", uffdio_zeropage, range.len);
        O("UFFDIO_ZEROPAGE_ZEROPAGE", uffdio_zeropage, zeropage);
        N("UFFD_MSG_BYTES", sizeof(struct uffd_msg));
        O("UFFD_MSG_PAGEFAULT_ADDRESS", uffd_msg, arg.pagefault.address);
        O("UFFD_MSG_FORK_UFD", uffd_msg, arg.fork.ufd);
        O("UFFD_MSG_REMOVE_START", uffd_msg, arg.remove.start);
        O("UFFD_MSG_REMOVE_END", uffd_msg, arg.remove.end);
        C(UFFD_EVENT_PAGEFAULT); C(UFFD_EVENT_FORK); C(UFFD_EVENT_REMOVE); C(UFFD_EVENT_UNMAP);
        C(UFFDIO_REGISTER_MODE_MISSING); C(UFFDIO_REGISTER_MODE_WP);
        C(UFFD_FEATURE_EVENT_REMOVE); C(UFFD_FEATURE_MISSING_HUGETLBFS);
        C(UFFD_FEATURE_MISSING_SHMEM); C(UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
        C(UFFD_FEATURE_WP_UNPOPULATED); C(UFFD_FEATURE_WP_ASYNC);
        C(PAGEMAP_SCAN);
        N("PM_SCAN_ARG_BYTES", sizeof(struct pm_scan_arg)); O("PM_SCAN_SIZE", pm_scan_arg, size);
        O("PM_SCAN_FLAGS", pm_scan_arg, flags); O("PM_SCAN_START", pm_scan_arg, start);
        O("PM_SCAN_END", pm_scan_arg, end); O("PM_SCAN_WALK_END", pm_scan_arg, walk_end);
        O("PM_SCAN_VEC", pm_scan_arg, vec); O("PM_SCAN_VEC_LEN", pm_scan_arg, vec_len);
        O("PM_SCAN_CATEGORY_INVERTED", pm_scan_arg, category_inverted);
        O("PM_SCAN_CATEGORY_MASK", pm_scan_arg, category_mask);
        O("PM_SCAN_CATEGORY_ANYOF_MASK", pm_scan_arg, category_anyof_mask);
        O("PM_SCAN_RETURN_MASK", pm_scan_arg, return_mask);
        N("PAGE_REGION_BYTES", sizeof(struct page_region));
        O("PAGE_REGION_END", page_region, end);
        C(PM_SCAN_WP_MATCHING); C(PM_SCAN_CHECK_WPASYNC);
        C(PAGE_IS_WPALLOWED); C(PAGE_IS_WRITTEN); C(PAGE_IS_PRESENT);
        C(PAGE_IS_SWAPPED);
        C(PTRACE_CONT); C(PTRACE_SINGLESTEP); C(PTRACE_DETACH); C(PTRACE_GETREGSET);
        C(PTRACE_SETREGSET); C(PTRACE_SEIZE); C(PTRACE_INTERRUPT); C(PTRACE_EVENT_STOP);
        C(NT_PRSTATUS); C(WNOHANG); N("WALL", __WALL); C(SIGTRAP); C(SIGSYS);
        return 0;
      }
      """;

  @TempDir private Path folder;

  @Test
  void everyConstantIsWhatTheCompilerSays() throws Exception {
    Path source = Files.writeString(folder.resolve("abi.c"), C);
    Path program = folder.resolve("abi");
    run("gcc", "-w", "-o", program.toString(), source.toString());
    Map<String, Long> compiled = new TreeMap<>();
    for (String line : run(program.toString()).lines().toList()) {
      String[] words = line.split(" ", 2);
      compiled.put(words[0], Long.parseLong(words[1]));
    }
    Map<String, Long> ours = new TreeMap<>();
    for (Field field : Abi.class.getDeclaredFields()) {
      if (!field.isSynthetic()) {
        ours.put(field.getName(), ((Number) field.get(null)).longValue());
      }
    }
    assertThat(ours).isEqualTo(compiled);
  }

  private String run(String... command) throws IOException, InterruptedException {
    Path output = Files.createTempFile(folder, "output", "");
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    int exit = process.waitFor();
    String text = Files.readString(output, StandardCharsets.UTF_8);
    assertThat(exit).as(text).isZero();
    return text;
  }
}
