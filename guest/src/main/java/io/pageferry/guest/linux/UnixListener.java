package io.pageferry.guest.linux;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * A listening Unix stream socket, by a path that only its owner may connect to.
 *
 * <p>Any thread may use and close it.
 */
public final class UnixListener implements AutoCloseable {
  private static final int BACKLOG = 4;

  private final Descriptor descriptor;
  private final Path path;

  private UnixListener(Descriptor descriptor, Path path) {
    this.descriptor = descriptor;
    this.path = path;
  }

  /**
   * Listens.
   *
   * @throws LinuxException EADDRINUSE if the name is there already, ENAMETOOLONG beyond 107 bytes
   */
  public static UnixListener bind(Path path) throws IOException {
    Descriptor socket = UnixConnection.newSocket();
    try (Arena arena = Arena.ofConfined()) {
      int number = socket.acquire();
      try {
        LinuxCalls.check(
            LinuxCalls.bind(number, UnixConnection.address(arena, path)), "bind " + path);
        try {
          // Between bind and listen nobody can connect, so there is no moment at which everybody
          // may.
          Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
          LinuxCalls.check(LinuxCalls.listen(number, BACKLOG), "listen " + path);
        } catch (IOException | RuntimeException e) {
          Files.deleteIfExists(path);
          throw e;
        }
      } finally {
        socket.release();
      }
      return new UnixListener(socket, path);
    } catch (IOException | RuntimeException e) {
      socket.close();
      throw e;
    }
  }

  public Path path() {
    return path;
  }

  /**
   * Waits for the next who connects.
   *
   * @return null when nobody did in this time
   */
  public @Nullable UnixConnection accept(Duration timeout) throws IOException {
    if (Readiness.await(descriptor, Abi.POLLIN, timeout) == 0) {
      return null;
    }
    int number = descriptor.acquire();
    try {
      int result = LinuxCalls.accept(number, Abi.SOCK_CLOEXEC | Abi.SOCK_NONBLOCK);
      if (result == -Errno.EAGAIN) {
        // Who had connected has gone again.
        return null;
      }
      return new UnixConnection(Descriptor.of(result, "accept " + path));
    } finally {
      descriptor.release();
    }
  }

  /** Stops listening and removes the name. */
  @Override
  public void close() {
    if (!descriptor.isClosed()) {
      descriptor.close();
      try {
        Files.deleteIfExists(path);
      } catch (IOException e) {
        // A stale socket file is in nobody's way: its folder goes, or the next bind says so.
      }
    }
  }
}
