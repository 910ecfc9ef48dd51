package io.pageferry.guest.linux;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;

/** A network of its own within this host, as {@code ip netns} makes and names it. */
public final class NetworkNamespace {
  private NetworkNamespace() {}

  /**
   * Moves the calling thread there, for good: a socket that it opens from now on is one of that
   * network, whichever thread uses it afterwards. For a platform thread that does this and ends.
   *
   * @param file the namespace, below {@code /run/netns} for one of {@code ip netns}
   * @throws LinuxException EPERM without CAP_SYS_ADMIN, ENOENT if there is none
   * @throws IOException if that fails in another way
   */
  public static void enter(Path file) throws IOException {
    try (Arena arena = Arena.ofConfined();
        Descriptor namespace =
            Descriptor.of(
                LinuxCalls.open(
                    arena.allocateFrom(file.toString()), Abi.O_RDONLY | Abi.O_CLOEXEC, 0),
                "open " + file)) {
      int number = namespace.acquire();
      try {
        LinuxCalls.check(LinuxCalls.setns(number, Abi.CLONE_NEWNET), "setns " + file);
      } finally {
        namespace.release();
      }
    }
  }
}
