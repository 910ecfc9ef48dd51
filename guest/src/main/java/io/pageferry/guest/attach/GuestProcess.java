package io.pageferry.guest.attach;

import io.pageferry.guest.attach.AttachException.Problem;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.linux.Errno;
import io.pageferry.guest.linux.LinuxException;
import io.pageferry.guest.linux.ProcessMaps;
import io.pageferry.guest.linux.ProcessStatus;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Finds the process whose memory an image is. */
public final class GuestProcess {
  private GuestProcess() {}

  /**
   * The one process that has the image mapped, so that what it writes reaches the file. Looks at
   * every process of this host; tens of milliseconds.
   *
   * @throws AttachException if there is none to be seen, or more than one: what the others write
   *     would not be noticed
   */
  public static int of(GuestImage image) throws IOException {
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
        hidden |= e.errno() != Errno.ESRCH;
      }
    }
    String file = image.regions().getFirst().path().toString();
    if (found.isEmpty()) {
      throw new AttachException(
          Problem.NOBODY_MAPS,
          "no process has mapped %s: check the path%s"
              .formatted(
                  file,
                  hidden
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

  private static String name(int pid) {
    try {
      return ProcessStatus.of(pid).name();
    } catch (IOException e) {
      return "ended";
    }
  }
}
