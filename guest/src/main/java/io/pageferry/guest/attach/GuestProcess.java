package io.pageferry.guest.attach;

import io.pageferry.guest.attach.AttachException.Problem;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.guest.linux.Errno;
import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.ProcessMaps;
import io.pageferry.guest.linux.ProcessStatus;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** Finds the process whose memory an image is. */
public final class GuestProcess {
  /** The PID namespace that contains all others has had this number in every kernel. */
  private static final String FIRST_NAMESPACE = "pid:[4026531836]";

  private static final int PAGE = 4096;

  private GuestProcess() {}

  /**
   * The one process that has the image mapped, so that what it writes reaches the file. Looks at
   * every process of this host; tens of milliseconds.
   *
   * @throws AttachException if there is none to be seen, or more than one: what the others write
   *     would not be noticed
   */
  public static int of(GuestImage image) throws IOException {
    Search search = Search.over(image);
    List<Integer> found = search.found();
    String file = image.regions().getFirst().path().toString();
    if (found.isEmpty()) {
      throw new AttachException(
          Problem.NOBODY_MAPS,
          "no process has mapped %s: check the path%s"
              .formatted(
                  file,
                  search.hidden()
                      ? ", run the agent as the guest's user or grant it CAP_SYS_PTRACE, and in a"
                          + " container let it share the guest's PID namespace"
                      : ", and in a container let it share the guest's PID namespace"));
    }
    if (found.size() > 1) {
      List<String> named = new ArrayList<>();
      for (int pid : found) {
        named.add(pid + " (" + name(pid) + ")");
      }
      throw new AttachException(
          Problem.MAPPING,
          "%d processes have mapped %s, %s, and only one of them can be followed: end the others"
              .formatted(found.size(), file, String.join(", ", named)));
    }
    return found.getFirst();
  }

  /**
   * Refuses an image that is nobody's memory, where that can be told: by an agent that sees every
   * process of this host. As long as {@link #of}.
   *
   * @throws AttachException FOREIGN, if no process at all has any of it mapped
   */
  public static void requireMapped(GuestImage image) throws IOException {
    if (isNobodysMemory(image)) {
      throw new AttachException(
          Problem.FOREIGN,
          "no process of this host has mapped %s"
              .formatted(image.regions().getFirst().path().toString()));
    }
  }

  /**
   * Whether no process at all has any of the image mapped, for sure: false as well where that
   * cannot be told, because this agent does not see every process of this host. As long as {@link
   * #of}.
   */
  public static boolean isNobodysMemory(GuestImage image) throws IOException {
    if (!image.regions().stream().allMatch(region -> image.isToldByMaps(region.index()))
        || !seesAll()) {
      return false;
    }
    Search search = Search.over(image);
    return search.found().isEmpty() && !search.hidden();
  }

  /** Whether processes of all PID namespaces and users are listed here. */
  private static boolean seesAll() throws IOException {
    return Files.readSymbolicLink(Path.of("/proc/self/ns/pid")).toString().equals(FIRST_NAMESPACE)
        && Files.exists(Path.of("/proc/1"));
  }

  /**
   * What a look at every process has shown.
   *
   * @param found those that have the image mapped, so that what they write reaches the file
   * @param hidden whether there were some that could not be looked at
   */
  private record Search(List<Integer> found, boolean hidden) {
    static Search over(GuestImage image) throws IOException {
      List<Integer> found = new ArrayList<>();
      boolean hidden = false;
      int self = (int) ProcessHandle.current().pid();
      for (long process : ProcessHandle.allProcesses().mapToLong(ProcessHandle::pid).toArray()) {
        int pid = (int) process;
        if (pid == self) {
          continue;
        }
        try {
          if (MappedImage.isIn(ProcessMaps.sharedOf(pid), image)) {
            found.add(pid);
          }
        } catch (LinuxException e) {
          // Those two say that it has ended since it was listed.
          hidden |= e.errno() != Errno.ESRCH && e.errno() != Errno.ENOENT && hasRoomFor(image, pid);
        }
      }
      return new Search(found, hidden);
    }

    /** Whether all that a process has mapped, of which anybody may know the size, is as much. */
    private static boolean hasRoomFor(GuestImage image, int pid) {
      long bytes = image.regions().stream().mapToLong(ImageRegion::bytes).sum();
      try {
        String sizes = Files.readString(Path.of("/proc/" + pid + "/statm"));
        return Long.parseLong(sizes.substring(0, sizes.indexOf(' '))) >= bytes / PAGE;
      } catch (IOException e) {
        return false; // it has ended
      }
    }
  }

  /**
   * Whether a process runs no more and removes nothing more: it is gone, or has ended and nobody
   * has asked how.
   */
  public static boolean hasEnded(ProcessHandle process) {
    if (!process.isAlive()) {
      return true;
    }
    try {
      int pid = (int) process.pid();
      // The first thread may end before the others, which share its files and its memory.
      return ProcessStatus.of(pid).state() == 'Z' && threads(pid) <= 1;
    } catch (IOException e) {
      return false; // asked again: a process that is gone is not alive then
    }
  }

  private static long threads(int pid) throws IOException {
    try (Stream<Path> threads = Files.list(Path.of("/proc/" + pid + "/task"))) {
      return threads.count();
    }
  }

  private static String name(int pid) {
    try {
      return ProcessStatus.of(pid).name();
    } catch (IOException e) {
      return "ended";
    }
  }
}
