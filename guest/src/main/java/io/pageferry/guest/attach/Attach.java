package io.pageferry.guest.attach;

import io.pageferry.guest.attach.AttachException.Problem;
import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.HandoverMode;
import io.pageferry.guest.handover.MappedRegion;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.guest.linux.Descriptor;
import io.pageferry.guest.linux.Errno;
import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.ProcessDescriptor;
import io.pageferry.guest.linux.ProcessMaps;
import io.pageferry.guest.linux.ProcessStatus;
import io.pageferry.guest.linux.Userfaultfd;
import io.pageferry.guest.linux.Userfaultfd.Watch;
import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes a userfaultfd on a guest's memory from a process that knows nothing of it. The image is
 * open and locked by the caller, so no other agent of ours does the same.
 *
 * <p>The process keeps a descriptor of its own: should the agent die, threads that wait for a
 * missing page go on waiting, and the next attach takes that descriptor up. Once the memory was
 * taken out of watch, closing the handover closes the process's own one as well.
 *
 * <p>Any thread; calls block for some milliseconds, or some seconds for a process that does not
 * stop.
 */
public final class Attach {
  private static final Logger LOG = LoggerFactory.getLogger(Attach.class);

  /** What is to be found in the process. */
  private enum Start {
    /** Nothing, or what an agent that is gone has left: ours in either case. */
    FRESH,
    /** What an agent that is gone has left. */
    LEFT,
    /** The same, or what the process has made itself. */
    BORROWED
  }

  private final int pid;
  private final ProcessDescriptor process;
  private final GuestImage image;
  private final HandoverMode mode;

  private Attach(int pid, ProcessDescriptor process, GuestImage image, HandoverMode mode) {
    this.pid = pid;
    this.process = process;
    this.image = image;
    this.mode = mode;
  }

  /**
   * Runs all that an attach runs, on a process that is of no use: the first time the guest would be
   * held for ten milliseconds otherwise. Has an effect once; takes some ten milliseconds.
   */
  public static void rehearse() {
    AttachRehearsal.run();
  }

  /**
   * Attaches to the process that has the image mapped, whichever it is.
   *
   * @throws AttachException if it cannot be done; the process is as it was
   */
  public static Attached to(GuestImage image, HandoverMode mode) throws IOException {
    return to(GuestProcess.of(image), image, mode);
  }

  /**
   * Attaches to a process.
   *
   * @throws AttachException if it cannot be done; the process is as it was
   */
  public static Attached to(int pid, GuestImage image, HandoverMode mode) throws IOException {
    return attach(pid, image, mode, Start.FRESH);
  }

  /**
   * Takes up what an agent that is gone has left in the guest, whose pages may still be missing.
   * Refused or not, the memory stays registered, because what is missing would read as zeros
   * otherwise.
   *
   * @throws AttachException if it cannot be done, or nothing was left
   */
  public static Attached again(GuestImage image) throws IOException {
    return attach(GuestProcess.of(image), image, HandoverMode.MISSING, Start.LEFT);
  }

  /**
   * As {@link #again}, of a process that may have made the descriptor itself to hand it over, and
   * cannot be asked now because it may wait for one of these pages. It keeps its descriptor also
   * when the memory is out of watch: closed by another it would be closed once more by its owner.
   * Nothing is done in the process, none of its threads is held.
   *
   * @throws AttachException as there
   */
  public static Attached borrowed(GuestImage image) throws IOException {
    return attach(GuestProcess.of(image), image, HandoverMode.MISSING, Start.BORROWED);
  }

  private static Attached attach(int pid, GuestImage image, HandoverMode mode, Start start)
      throws IOException {
    ProcessDescriptor process;
    try {
      process = ProcessDescriptor.of(pid);
    } catch (LinuxException e) {
      if (e.errno() == Errno.ESRCH) {
        throw gone(pid, e);
      }
      throw new AttachException(
          Problem.KERNEL, "process " + pid + " cannot be held on to: " + e.getMessage(), e);
    }
    boolean done = false;
    try {
      Attached attached = new Attach(pid, process, image, mode).run(start);
      done = true;
      return attached;
    } catch (AttachException e) {
      throw e;
    } catch (IOException e) {
      throw process.hasEnded() ? gone(pid, e) : refused(pid, e);
    } finally {
      if (!done) {
        process.close();
      }
    }
  }

  private Attached run(Start start) throws IOException {
    List<MappedRegion> regions = MappedImage.in(pid, ProcessMaps.of(pid), image);
    Attached found = takeUp(regions, start != Start.BORROWED);
    if (found != null) {
      return found;
    }
    if (start != Start.FRESH) {
      throw new AttachException(
          Problem.NOTHING_LEFT,
          "process %d has no userfaultfd left on its memory, so nothing can be brought to it any"
                  .formatted(pid)
              + " more: if it does not run, 'pageferry source recover --force' on the source takes"
              + " the guest back");
    }
    return inject(regions);
  }

  /**
   * What an earlier attach has left in the process, if it fits.
   *
   * @param ours whether the process's own descriptor is to go with the watch
   */
  private @Nullable Attached takeUp(List<MappedRegion> regions, boolean ours) throws IOException {
    for (int number : Userfaultfd.heldBy(pid)) {
      Userfaultfd copy = copy(number);
      if (copy == null) {
        continue;
      }
      boolean taken = false;
      try {
        OptionalLong enabled = copy.enabledFeatures();
        // One that is not enabled yet may be the program's own, which is about to do that.
        if (enabled.isEmpty() || enabled.getAsLong() != features()) {
          continue;
        }
        register(copy, regions);
        taken = true;
        LOG.debug("process {}: userfaultfd {} taken up again", pid, number);
        return new Attached(
            ours
                ? handover(copy, number, regions)
                : GuestHandover.taken(process, pid, copy, regions, () -> {}),
            Duration.ZERO,
            true);
      } catch (LinuxException e) {
        // Somebody else's, or for something else.
        LOG.debug("userfaultfd {} of process {}", number, pid, e);
      } finally {
        if (!taken) {
          copy.close();
        }
      }
    }
    return null;
  }

  private @Nullable Userfaultfd copy(int number) throws IOException {
    try {
      return Userfaultfd.received(process.copyOf(number));
    } catch (LinuxException e) {
      if (e.errno() == Errno.EBADF) {
        return null;
      }
      throw e;
    }
  }

  private Attached inject(List<MappedRegion> regions) throws IOException {
    GuestThreads threads = GuestThreads.of(pid);
    // What runs in the kernel on the guest's behalf must find missing pages as well.
    long[] flags = Userfaultfd.callFlags(mode == HandoverMode.WRITE_PROTECT);
    CallInjection.Outcome outcome = threads.userfaultfd(flags);
    if (outcome.result() < 0 || outcome.caught()) {
      throw callRefused((int) -outcome.result(), outcome.caught());
    }
    int number = (int) outcome.result();
    Userfaultfd userfaultfd = null;
    boolean done = false;
    try {
      Descriptor copy = process.copyOf(number);
      userfaultfd = Userfaultfd.received(copy);
      userfaultfd.enable(features());
      register(userfaultfd, regions);
      LOG.debug("process {}: a thread was held for {}", pid, outcome.held());
      Attached attached =
          new Attached(handover(userfaultfd, number, regions), outcome.held(), false);
      done = true;
      return attached;
    } catch (LinuxException e) {
      if (e.errno() == Errno.EBUSY) {
        throw new AttachException(
            Problem.WATCHED,
            "the memory of process %d is watched already, by its own program or for an earlier"
                    .formatted(pid)
                + " migration whose pages are still missing: let that end first",
            e);
      }
      throw e;
    } finally {
      if (!done) {
        if (userfaultfd != null) {
          unregister(userfaultfd, regions);
          userfaultfd.close();
        }
        removeTraces(number);
      }
    }
  }

  private AttachException callRefused(int errno, boolean caught) {
    if (caught) {
      return new AttachException(
          Problem.FILTERED,
          "a filter of process %d forbids the system call userfaultfd: allow it there"
              .formatted(pid));
    }
    return errno == Errno.EPERM
        ? new AttachException(
            Problem.CALL_REFUSED,
            "the kernel does not let process %d make a userfaultfd%s: set the sysctl"
                    .formatted(
                        pid, mode == HandoverMode.MISSING ? " that also serves the kernel" : "")
                + " vm.unprivileged_userfaultfd=1, or grant that process CAP_SYS_PTRACE")
        : new AttachException(
            Problem.KERNEL,
            "the system call userfaultfd failed in process %d: %s"
                .formatted(pid, Errno.describe(errno)));
  }

  private long features() {
    return switch (mode) {
      case WRITE_PROTECT -> Userfaultfd.writeProtectFeatures();
      case MISSING ->
          Userfaultfd.missingFeatures(
              image.regions().stream()
                  .anyMatch(region -> region.pageSize() > ImageRegion.PAGE_BYTES));
    };
  }

  private void register(Userfaultfd userfaultfd, List<MappedRegion> regions) throws IOException {
    Watch watch =
        switch (mode) {
          case WRITE_PROTECT -> Watch.WRITE_PROTECT;
          case MISSING -> Watch.MISSING;
        };
    for (MappedRegion region : regions) {
      userfaultfd.register(region.baseHostVirtAddr(), region.size(), watch);
    }
  }

  private static void unregister(Userfaultfd userfaultfd, List<MappedRegion> regions) {
    for (MappedRegion region : regions) {
      try {
        userfaultfd.unregister(region.baseHostVirtAddr(), region.size());
      } catch (IOException e) {
        LOG.debug("unregistering {}", region, e);
      }
    }
  }

  private GuestHandover handover(Userfaultfd userfaultfd, int number, List<MappedRegion> regions) {
    return GuestHandover.taken(process, pid, userfaultfd, regions, () -> removeTraces(number));
  }

  /**
   * Has the process close its descriptor. Where that cannot be done it keeps one that watches
   * nothing.
   */
  private void removeTraces(int number) {
    try {
      if (!process.hasEnded() && Userfaultfd.heldBy(pid).contains(number)) {
        CallInjection.Outcome outcome = GuestThreads.of(pid).close(number);
        LOG.debug("process {}: a thread was held for {} to close", pid, outcome.held());
      }
    } catch (IOException | RuntimeException e) {
      LOG.debug("process {} keeps descriptor {}, which watches nothing", pid, number, e);
    }
  }

  private static AttachException gone(int pid, IOException e) {
    return new AttachException(Problem.NO_PROCESS, "process " + pid + " has ended", e);
  }

  private static AttachException refused(int pid, IOException e) {
    boolean denied =
        e instanceof AccessDeniedException
            || (e instanceof LinuxException failed
                && (failed.errno() == Errno.EPERM || failed.errno() == Errno.EACCES));
    return denied
        ? new AttachException(
            Problem.NOT_PERMITTED,
            "not permitted to trace process %d: %s".formatted(pid, grants(pid)),
            e)
        : new AttachException(
            Problem.KERNEL, "process " + pid + " cannot be attached to: " + e.getMessage(), e);
  }

  /** What to grant so that the process may be traced. */
  private static String grants(int pid) {
    String scope = "0";
    boolean may = false;
    boolean filtered = false;
    boolean otherUser = false;
    try {
      ProcessStatus self = ProcessStatus.ofSelf();
      may = self.mayTraceOthers();
      filtered = self.filtered() != 0;
      otherUser = self.user() != ProcessStatus.of(pid).user();
      scope = Files.readString(Path.of("/proc/sys/kernel/yama/ptrace_scope")).strip();
    } catch (IOException e) {
      // No Yama here.
    }
    return grants(scope, may, filtered, otherUser);
  }

  /**
   * What to grant.
   *
   * @param scope what Yama says, 0 where there is none
   * @param may whether this process may trace others
   * @param filtered whether its system calls are filtered
   * @param otherUser whether the process to be traced is another user's
   */
  static String grants(String scope, boolean may, boolean filtered, boolean otherUser) {
    if (scope.equals("3")) {
      return "the sysctl kernel.yama.ptrace_scope is 3, which holds until the host boots again";
    }
    if (filtered && may) {
      return "run the agent's container with a seccomp profile that allows ptrace";
    }
    if (otherUser) {
      return "run the agent as the guest's user or grant it CAP_SYS_PTRACE";
    }
    return scope.equals("0")
        ? "grant the agent CAP_SYS_PTRACE, in a container together with a seccomp profile that"
            + " allows ptrace"
        : "grant the agent CAP_SYS_PTRACE, or set the sysctl kernel.yama.ptrace_scope=0";
  }
}
