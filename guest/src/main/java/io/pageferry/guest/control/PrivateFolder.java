package io.pageferry.guest.control;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A folder for sockets that only this user may enter, with a lock file that is held while the
 * folder is in use. The kernel frees the lock of a process that was killed, so the next agent of
 * this user sees that nobody uses the folder any more and removes it; a process number would say
 * nothing about a process in another container.
 *
 * <p>Any thread.
 */
public final class PrivateFolder implements AutoCloseable {
  private static final String PREFIX = "pageferry-agent-";
  private static final String LOCK = "lock";
  private static final int ATTEMPTS = 8;

  /**
   * Those of this process: closing any other channel to their lock files would free the locks.
   * Guarded by the class.
   */
  private static final Set<Path> MINE = new HashSet<>();

  private final Path path;
  private final FileChannel lock;

  private PrivateFolder(Path path, FileChannel lock) {
    this.path = path;
    this.lock = lock;
  }

  /** Makes a folder, and removes those that killed agents of this user have left. */
  public static synchronized PrivateFolder open() throws IOException {
    sweep();
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      Path path =
          Files.createTempDirectory(
              PREFIX,
              PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
      FileChannel channel = locked(path);
      if (channel != null) {
        MINE.add(path);
        return new PrivateFolder(path, channel);
      }
    }
    throw new IOException("no private folder stays in " + System.getProperty("java.io.tmpdir"));
  }

  /** Null if another agent took the folder for a left one before it was locked. */
  @SuppressWarnings("resource") // the lock lives as long as its channel
  private static @Nullable FileChannel locked(Path path) {
    FileChannel channel = null;
    try {
      channel =
          FileChannel.open(
              path.resolve(LOCK), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
      FileLock lock = channel.tryLock();
      if (lock != null && Files.exists(path.resolve(LOCK))) {
        return channel;
      }
      channel.close();
    } catch (IOException e) {
      closeQuietly(channel);
    }
    return null;
  }

  /** Removes the folders that killed agents of this user have left. */
  public static synchronized void sweep() {
    Path temporary = Path.of(System.getProperty("java.io.tmpdir"));
    try (DirectoryStream<Path> folders = Files.newDirectoryStream(temporary, PREFIX + "*")) {
      for (Path folder : folders) {
        if (!MINE.contains(folder)) {
          removeIfLeft(folder);
        }
      }
    } catch (IOException | DirectoryIteratorException e) {
      // What cannot be listed is left to the next agent.
    }
  }

  private static void removeIfLeft(Path folder) {
    try {
      if (!Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)
          || !Files.getOwner(folder, LinkOption.NOFOLLOW_LINKS)
              .equals(Files.getOwner(Path.of("/proc/self")))) {
        return;
      }
      // A folder without its lock file is one whose agent was killed, or is about to make it: it
      // then finds the folder gone and makes another.
      try (FileChannel channel =
          FileChannel.open(
              folder.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
        if (channel.tryLock() != null) {
          empty(folder);
        }
      }
    } catch (IOException e) {
      // In use, or gone by now.
    }
  }

  private static void empty(Path folder) throws IOException {
    try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
      for (Path file : files) {
        Files.deleteIfExists(file);
      }
    }
    Files.deleteIfExists(folder);
  }

  /** A path in this folder. */
  public Path resolve(String name) {
    return path.resolve(name);
  }

  /** Removes the folder and what is in it. */
  @Override
  public void close() {
    synchronized (PrivateFolder.class) {
      try {
        empty(path);
      } catch (IOException e) {
        // The next agent tries again: the lock is free then.
      }
      closeQuietly(lock);
      MINE.remove(path);
    }
  }

  private static void closeQuietly(@Nullable FileChannel channel) {
    if (channel != null) {
      try {
        channel.close();
      } catch (IOException e) {
        // Nothing was written there.
      }
    }
  }
}
