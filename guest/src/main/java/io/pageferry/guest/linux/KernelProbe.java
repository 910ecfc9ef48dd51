package io.pageferry.guest.linux;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.pageferry.guest.linux.Userfaultfd.Access;
import io.pageferry.guest.linux.Userfaultfd.Watch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** Tries each feature once, on a few pages of its own. Leaves nothing behind. */
final class KernelProbe {
  private static final int PAGE = 4096;
  private static final int PAGES = 4;

  /** Beyond what the kernel numbers. */
  private static final int NO_THREAD = Integer.MAX_VALUE;

  private final KernelVersion version = KernelVersion.running();
  private final List<Feature> features = new ArrayList<>();

  List<Feature> run() {
    features.add(kernel());
    features.add(userfaultfd());
    features.add(writeProtectAsync());
    features.add(pagemapScan());
    features.add(writeTracking());
    features.add(missingFaults());
    features.add(pagemapOfOthers());
    features.add(processDescriptors());
    features.add(attach());
    features.add(urgentThreads());
    features.add(memfd());
    features.add(hugetlbfs());
    features.add(hugePageTracking());
    return features;
  }

  private static Feature yes(String name, String detail) {
    return new Feature(name, true, detail, "");
  }

  private static Feature no(String name, String detail, String remedy) {
    return new Feature(name, false, detail, remedy);
  }

  private static Feature no(String name, IOException cause, String remedy) {
    return no(name, String.valueOf(cause.getMessage()), remedy);
  }

  private Feature kernel() {
    return version.atLeast(6, 7)
        ? yes(KernelFeatures.KERNEL, "Linux " + version.release())
        : no(
            KernelFeatures.KERNEL,
            "Linux " + version.release(),
            "Linux 6.7 brought the kernel's own write tracking; without it guests are moved by"
                + " comparing digests, which reads all of their memory every round");
  }

  private static Feature userfaultfd() {
    List<String> refusals = new ArrayList<>();
    for (Access access : Access.values()) {
      try (Userfaultfd opened = Userfaultfd.open(access)) {
        opened.enable(0);
        return yes(KernelFeatures.USERFAULTFD, words(access));
      } catch (IOException e) {
        refusals.add(e.getMessage());
      }
    }
    return no(
        KernelFeatures.USERFAULTFD,
        String.join("; ", refusals),
        "Let the guest's process open /dev/userfaultfd (chmod or chgrp it; in a container: --device"
            + " /dev/userfaultfd, and nothing else), or set the sysctl"
            + " vm.unprivileged_userfaultfd=1; a container's seccomp profile may forbid the system"
            + " call itself");
  }

  private static String words(Access access) {
    return switch (access) {
      case DEVICE -> "by /dev/userfaultfd";
      case SYSTEM_CALL -> "by the system call";
      case USER_MODE_ONLY -> "by the system call, for faults in user mode only";
    };
  }

  private static Feature writeProtectAsync() {
    try (Userfaultfd opened = Userfaultfd.open()) {
      opened.enable(Userfaultfd.writeProtectFeatures());
      return yes(KernelFeatures.WRITE_PROTECT_ASYNC, "on anonymous memory, tmpfs, memfd and files");
    } catch (IOException e) {
      return no(
          KernelFeatures.WRITE_PROTECT_ASYNC, e, "Linux 6.7 with CONFIG_PTE_MARKER_UFFD_WP has it");
    }
  }

  private static Feature pagemapScan() {
    long[] categories = {Abi.PAGE_IS_WPALLOWED, Abi.PAGE_IS_WRITTEN, Abi.PAGE_IS_PRESENT};
    try (MemoryMapping memory = MemoryMapping.anonymous((long) PAGES * PAGE);
        PageScan scan = PageScan.ofSelf()) {
      for (long category : categories) {
        scan.probe(memory.address(), memory.address() + memory.bytes(), category);
      }
      return yes(
          KernelFeatures.PAGEMAP_SCAN, "with the categories write-protected, written and present");
    } catch (IOException e) {
      return no(KernelFeatures.PAGEMAP_SCAN, e, "Linux 6.7 has it");
    }
  }

  /** All of it together, on shared memory: protect, write to one page, find exactly that one. */
  private static Feature writeTracking() {
    long bytes = (long) PAGES * PAGE;
    try (LinuxFile file = LinuxFile.inMemory("pageferry-probe");
        Userfaultfd watch = Userfaultfd.open()) {
      file.setSize(bytes);
      watch.enable(Userfaultfd.writeProtectFeatures());
      try (MemoryMapping memory = file.map(bytes, true);
          PageScan scan = PageScan.ofSelf()) {
        watch.register(memory.address(), bytes, Watch.WRITE_PROTECT);
        long end = memory.address() + bytes;
        scan.protectAll(memory.address(), end);
        memory.segment().set(JAVA_BYTE, 2 * PAGE, (byte) 1);
        List<Long> found = new ArrayList<>();
        scan.written(
            memory.address(),
            end,
            PageScan.Action.PROTECT,
            (from, to) -> found.add((from - memory.address()) / PAGE * 100 + (to - from) / PAGE));
        if (!found.equals(List.of(201L))) {
          return no(
              KernelFeatures.WRITE_TRACKING,
              "the kernel does not report exactly the page that was written",
              "Report this kernel to us; guests are moved by comparing digests meanwhile");
        }
        return yes(KernelFeatures.WRITE_TRACKING, "finds exactly the page that was written");
      }
    } catch (IOException e) {
      return no(
          KernelFeatures.WRITE_TRACKING,
          e,
          "See " + KernelFeatures.USERFAULTFD + " and " + KernelFeatures.PAGEMAP_SCAN);
    }
  }

  private static Feature missingFaults() {
    long bytes = (long) PAGES * PAGE;
    try (LinuxFile file = LinuxFile.inMemory("pageferry-probe");
        Userfaultfd watch = Userfaultfd.open()) {
      file.setSize(bytes);
      watch.enable(Userfaultfd.missingFeatures(false));
      try (MemoryMapping memory = file.map(bytes, true)) {
        watch.register(memory.address(), bytes, Watch.MISSING);
        watch.unregister(memory.address(), bytes);
      }
      return yes(KernelFeatures.MISSING_FAULTS, "on shared memory");
    } catch (IOException e) {
      return no(KernelFeatures.MISSING_FAULTS, e, "See " + KernelFeatures.USERFAULTFD);
    }
  }

  private static Feature pagemapOfOthers() {
    List<Long> others =
        ProcessHandle.allProcesses()
            .map(ProcessHandle::pid)
            .filter(pid -> pid != ProcessHandle.current().pid())
            .toList();
    String refusal = "no other process can be seen from here";
    for (long pid : others) {
      try (PageScan opened = PageScan.of((int) pid)) {
        opened.written(0, 0, PageScan.Action.LOOK, (from, to) -> {});
        return yes(KernelFeatures.PAGEMAP_OF_OTHERS, "for example of process " + pid);
      } catch (IOException e) {
        refusal = String.valueOf(e.getMessage());
      }
    }
    return no(
        KernelFeatures.PAGEMAP_OF_OTHERS,
        refusal,
        "Run the agent as the guest's user, or with CAP_SYS_PTRACE; in a container it must share"
            + " the guest's PID namespace");
  }

  private static Feature processDescriptors() {
    try (ProcessDescriptor self = ProcessDescriptor.of((int) ProcessHandle.current().pid())) {
      return self.hasEnded()
          ? no(KernelFeatures.PROCESS_DESCRIPTORS, "says that this process has ended", "")
          : yes(KernelFeatures.PROCESS_DESCRIPTORS, "pidfd_open");
    } catch (IOException e) {
      return no(KernelFeatures.PROCESS_DESCRIPTORS, e, "Linux 5.3 has them");
    }
  }

  private static Feature urgentThreads() {
    try {
      ThreadPriority.first();
      ThreadPriority.inTurn();
      return yes(KernelFeatures.URGENT_THREADS, "page faults are served before everything else");
    } catch (LinuxException e) {
      return no(
          KernelFeatures.URGENT_THREADS,
          e,
          "Without it a page fault takes its turn with the pages that are pushed, which costs"
              + " milliseconds on a busy host: grant the agent CAP_SYS_NICE, or a limit of real-time"
              + " priority (ulimit -r 1)");
    }
  }

  /** Asks about a thread that cannot be: whether asking is allowed at all. */
  private static Feature attach() {
    String remedy =
        "Needed for guests that hand nothing over, such as QEMU: grant the agent CAP_SYS_PTRACE, in"
            + " a container together with a seccomp profile that allows ptrace";
    String scope = yamaScope();
    try {
      if (scope.equals("3")) {
        return no(
            KernelFeatures.ATTACH,
            "the sysctl kernel.yama.ptrace_scope is 3, which holds until the host boots again",
            remedy);
      }
      TracedThread.seize(NO_THREAD);
    } catch (LinuxException e) {
      if (e.errno() != Errno.ESRCH) {
        return no(KernelFeatures.ATTACH, e, remedy);
      }
    }
    try {
      return yes(
          KernelFeatures.ATTACH,
          ProcessStatus.ofSelf().mayTraceOthers()
              ? "ptrace on processes of every user"
              : scope.equals("0")
                  ? "ptrace on processes of this user"
                  : "ptrace on processes that this one has started (kernel.yama.ptrace_scope is "
                      + scope
                      + ")");
    } catch (IOException e) {
      return no(KernelFeatures.ATTACH, e, remedy);
    }
  }

  private static String yamaScope() {
    try {
      return Files.readString(Path.of("/proc/sys/kernel/yama/ptrace_scope")).strip();
    } catch (IOException e) {
      return "0";
    }
  }

  private static Feature memfd() {
    try (LinuxFile file = LinuxFile.inMemory("pageferry-probe")) {
      return file.fileSystem().isTmpfs()
          ? yes(KernelFeatures.MEMFD, "guest memory without a name, by its path below /proc")
          : no(KernelFeatures.MEMFD, "is on an unknown kind of file system", "");
    } catch (IOException e) {
      return no(KernelFeatures.MEMFD, e, "A kernel with CONFIG_MEMFD_CREATE has it");
    }
  }

  private static Feature hugetlbfs() {
    String remedy =
        "Only for guests on huge pages: reserve some (sysctl vm.nr_hugepages) and mount a"
            + " hugetlbfs";
    try (Stream<String> kinds = Files.lines(Path.of("/proc/filesystems"));
        Stream<String> mounts = Files.lines(Path.of("/proc/self/mounts"))) {
      if (kinds.noneMatch(line -> line.endsWith("\thugetlbfs"))) {
        return no(KernelFeatures.HUGETLBFS, "this kernel does not have it", "");
      }
      List<String> at =
          mounts
              .map(line -> line.split(" ", -1))
              .filter(words -> words.length > 2 && words[2].equals("hugetlbfs"))
              .map(words -> words[1])
              .toList();
      long free = AvailableMemory.hugePageBytes(2 << 20) >> 20;
      if (at.isEmpty()) {
        return no(KernelFeatures.HUGETLBFS, "not mounted; " + free + " MiB reserved free", remedy);
      }
      return yes(
          KernelFeatures.HUGETLBFS,
          "mounted at " + String.join(", ", at) + "; " + free + " MiB of 2 MiB pages free");
    } catch (IOException e) {
      return no(KernelFeatures.HUGETLBFS, e, remedy);
    }
  }

  private Feature hugePageTracking() {
    // This alone is not probed: the probe would be the deadlock that it asks about.
    return version.atLeast(7, 2)
        ? yes(KernelFeatures.HUGE_PAGE_TRACKING, "this kernel is newer than CVE-2026-72174")
        : no(
            KernelFeatures.HUGE_PAGE_TRACKING,
            "write tracking of huge pages can hang kernels before mid-2026 (CVE-2026-72174)",
            "Guests on hugetlbfs are moved by comparing digests; if your kernel has the fix, set"
                + " PAGEFERRY_JAVA_OPTS=-D"
                + KernelFeatures.ALLOW
                + "="
                + KernelFeatures.HUGE_PAGE_TRACKING);
  }
}
