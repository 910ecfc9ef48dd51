package io.pageferry.integration.process;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Everything one run needs on this machine and nothing it leaves: a folder for files, a folder in
 * shared memory for images, both readable by their owner only, and the processes started from here.
 *
 * <p>Closing stops the processes, also those that an agent started (their command lines mention the
 * folders), and removes the folders. Threads: any; guarded by its own monitor.
 */
public final class Workplace implements AutoCloseable {
  private static final Path SHARED_MEMORY = Path.of("/dev/shm");
  private static final Duration GRACE = Duration.ofSeconds(5);

  private final Path folder;
  private final Path imageFolder;
  private final Deque<RunningProcess> processes = new ArrayDeque<>();
  private boolean closed;

  private Workplace(Path folder, Path imageFolder) {
    this.folder = folder;
    this.imageFolder = imageFolder;
  }

  /**
   * Makes the two folders.
   *
   * @param name start of their names; this process's number follows, so that one sees whose they
   *     are
   * @throws IOException if that fails
   */
  public static Workplace create(String name) throws IOException {
    var ownerOnly =
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));
    String prefix = name + "-" + ProcessHandle.current().pid() + "-";
    Path folder = Files.createTempDirectory(prefix, ownerOnly);
    Path images = Files.isWritable(SHARED_MEMORY) ? SHARED_MEMORY : folder;
    try {
      return new Workplace(folder, Files.createTempDirectory(images, prefix, ownerOnly));
    } catch (IOException failure) {
      Files.deleteIfExists(folder);
      throw failure;
    }
  }

  /** For files: certificates, descriptions, sockets, ledgers. */
  public Path folder() {
    return folder;
  }

  /** For images: on tmpfs where the machine has one. */
  public Path imageFolder() {
    return imageFolder;
  }

  /**
   * A folder below {@link #folder()}, made when missing.
   *
   * @throws IOException if it cannot be made
   */
  public Path subfolder(String name) throws IOException {
    return Files.createDirectories(folder.resolve(name));
  }

  /**
   * A folder below {@link #imageFolder()}, made when missing.
   *
   * @throws IOException if it cannot be made
   */
  public Path imageSubfolder(String name) throws IOException {
    return Files.createDirectories(imageFolder.resolve(name));
  }

  /**
   * Starts a process that ends with this workplace at the latest.
   *
   * @throws IOException if it cannot be started, or the workplace is closed already
   */
  public synchronized RunningProcess start(
      String name,
      List<String> command,
      RunningProcess.Terminal terminal,
      Map<String, String> environment)
      throws IOException {
    if (closed) {
      throw new IOException("the run has ended, " + name + " is not started any more");
    }
    RunningProcess process = RunningProcess.start(name, command, terminal, environment);
    processes.push(process);
    return process;
  }

  /** The processes that were started here, youngest first, whether they still run or not. */
  public synchronized List<RunningProcess> processes() {
    return List.copyOf(processes);
  }

  /** Everything that is known about the processes, for a failure's message. */
  public synchronized String state() {
    StringBuilder state = new StringBuilder();
    processes.forEach(process -> state.append(process.state()).append('\n'));
    return state.toString();
  }

  /** Stops the processes, youngest first, but leaves the folders. */
  public synchronized void stopProcesses() {
    closed = true;
    // Asked all at once, then waited for: one after the other would take as long as the sum.
    processes.forEach(RunningProcess::requestEnd);
    processes.forEach(process -> process.stop(GRACE));
    try {
      for (ProcessTable.Entry left : ProcessTable.mentioning(folder.toString())) {
        end(left.pid());
      }
      for (ProcessTable.Entry left : ProcessTable.mentioning(imageFolder.toString())) {
        end(left.pid());
      }
    } catch (IOException unreadable) {
      // Without /proc nothing of this runs in the first place.
    }
  }

  private static void end(long pid) {
    ProcessHandle.of(pid).ifPresent(ProcessHandle::destroyForcibly);
  }

  /** Stops everything and removes the folders. */
  @Override
  public synchronized void close() {
    stopProcesses();
    delete(folder);
    delete(imageFolder);
  }

  private static void delete(Path tree) {
    try {
      Files.walkFileTree(
          tree,
          new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
                throws IOException {
              Files.deleteIfExists(file);
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path file, IOException gone) {
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult postVisitDirectory(Path emptied, @Nullable IOException failure)
                throws IOException {
              Files.deleteIfExists(emptied);
              return FileVisitResult.CONTINUE;
            }
          });
    } catch (IOException busy) {
      // A process that was killed a moment ago may still write; what is left is in a temporary
      // folder.
    }
  }
}
