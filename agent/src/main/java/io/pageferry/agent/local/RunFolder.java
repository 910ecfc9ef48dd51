package io.pageferry.agent.local;

import java.io.IOException;
import java.net.ConnectException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/** The folder of the running agents' sockets. */
final class RunFolder {
  private static final String SUFFIX = ".sock";

  /** sun_path of unix(7) has 108 bytes, the last of them zero. */
  private static final int MAX_SOCKET_PATH = 107;

  private RunFolder() {}

  static Path of(Path stateDirectory) {
    return stateDirectory.toAbsolutePath().normalize().resolve("run");
  }

  static Path socket(Path folder, String role, long pid) {
    return folder.resolve(role + "-" + pid + SUFFIX);
  }

  static void create(Path folder) throws IOException {
    try {
      Set<PosixFilePermission> ownerOnly = PosixFilePermissions.fromString("rwx------");
      Files.createDirectories(folder, PosixFilePermissions.asFileAttribute(ownerOnly));
      Files.setPosixFilePermissions(folder, ownerOnly); // it may have been there before
    } catch (IOException e) {
      throw new IOException(
          "cannot create "
              + folder
              + " ("
              + e.getClass().getSimpleName()
              + "): name a state directory of your own with --state",
          e);
    }
  }

  static void checkLength(Path socket) throws IOException {
    if (socket.toString().getBytes(StandardCharsets.UTF_8).length > MAX_SOCKET_PATH) {
      throw new IOException(
          "the path of the control socket is longer than the "
              + MAX_SOCKET_PATH
              + " bytes a Unix socket can have, "
              + socket
              + ": name a shorter state directory with --state");
    }
  }

  /** The sockets of one role, stale ones included; none if the folder does not exist. */
  static List<Path> sockets(Path folder, String role) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files
          .filter(path -> path.getFileName().toString().startsWith(role))
          .filter(path -> path.getFileName().toString().endsWith(SUFFIX))
          .sorted()
          .toList();
    } catch (NoSuchFileException e) {
      return List.of();
    } catch (FileSystemException e) {
      throw new IOException(
          folder + " cannot be read by this user (" + e.getClass().getSimpleName() + ")", e);
    }
  }

  /** Removes the sockets that nobody listens on any more: their agents were killed. */
  static void removeStale(Path folder) throws IOException {
    for (Path socket : sockets(folder, "")) {
      if (!isAlive(socket)) {
        Files.deleteIfExists(socket);
      }
    }
  }

  /** Only a connection that is refused says that nobody listens. */
  private static boolean isAlive(Path socket) {
    try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      // An agent that is stopped accepts nobody, and a blocking connection would wait for that.
      channel.configureBlocking(false);
      channel.connect(UnixDomainSocketAddress.of(socket));
      return true;
    } catch (ConnectException e) {
      return false;
    } catch (IOException e) {
      // Too many wait there already, or it may not be connected to: somebody may well listen.
      return true;
    }
  }
}
