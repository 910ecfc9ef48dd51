package io.pageferry.integration.process;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** What {@code /proc} says about running processes; a process that ends meanwhile is left out. */
public final class ProcessTable {
  private static final Path PROC = Path.of("/proc");

  private ProcessTable() {}

  /**
   * A process.
   *
   * @param pid its number
   * @param command its command line, blanks between the arguments
   */
  public record Entry(long pid, String command) {}

  /**
   * Processes whose command line mentions a text: a folder of a run is in the command line of
   * everything that was started for it, by us or by an agent.
   *
   * @param text what to look for
   * @throws IOException if {@code /proc} cannot be listed
   */
  public static List<Entry> mentioning(String text) throws IOException {
    List<Entry> found = new ArrayList<>();
    long self = ProcessHandle.current().pid();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(PROC, "[0-9]*")) {
      for (Path entry : entries) {
        long pid = Long.parseLong(entry.getFileName().toString());
        Optional<String> command = pid == self ? Optional.empty() : commandOf(entry);
        if (command.isPresent() && command.get().contains(text)) {
          found.add(new Entry(pid, command.get()));
        }
      }
    }
    return found;
  }

  /** Ends a process without asking it. */
  public static void kill(Entry process) {
    ProcessHandle.of(process.pid()).ifPresent(ProcessHandle::destroyForcibly);
  }

  /**
   * Whether the kernel still has it. One that was killed has no command line long before its last
   * socket is closed, and is known as long as its parent has not heard of its end.
   */
  public static boolean exists(Entry process) {
    return Files.exists(PROC.resolve(Long.toString(process.pid())));
  }

  private static Optional<String> commandOf(Path entry) {
    try {
      String command = Files.readString(entry.resolve("cmdline"), StandardCharsets.ISO_8859_1);
      return command.isEmpty() ? Optional.empty() : Optional.of(command.replace('\0', ' ').trim());
    } catch (IOException ended) {
      return Optional.empty();
    }
  }

  /**
   * How many open descriptors of a process point to something of this kind.
   *
   * @param pid the process
   * @param kind part of what {@code /proc/PID/fd/N} links to, for example {@code userfaultfd}
   * @return the number; 0 for a process that has ended
   */
  public static int descriptors(long pid, String kind) {
    int count = 0;
    Path folder = PROC.resolve(Long.toString(pid)).resolve("fd");
    try (Stream<Path> descriptors = Files.list(folder)) {
      for (Path descriptor : descriptors.toList()) {
        if (link(descriptor).contains(kind)) {
          count++;
        }
      }
    } catch (IOException ended) {
      return 0;
    }
    return count;
  }

  /**
   * The threads of a process that the kernel runs before all ordinary ones: those whose scheduling
   * policy (proc_pid_stat(5), field 41) is {@code SCHED_FIFO}.
   *
   * @param pid the process
   * @return their names, which the kernel cuts after 15 bytes; none for a process that has ended
   */
  public static List<String> threadsThatRunFirst(long pid) {
    List<String> first = new ArrayList<>();
    Path folder = PROC.resolve(Long.toString(pid)).resolve("task");
    try (DirectoryStream<Path> threads = Files.newDirectoryStream(folder)) {
      for (Path thread : threads) {
        statOf(thread)
            .filter(
                stat -> stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[38].equals("1"))
            .ifPresent(
                stat -> first.add(stat.substring(stat.indexOf('(') + 1, stat.lastIndexOf(')'))));
      }
    } catch (IOException | DirectoryIteratorException ended) {
      return List.of();
    }
    return first;
  }

  private static Optional<String> statOf(Path thread) {
    try {
      return Optional.of(Files.readString(thread.resolve("stat"), StandardCharsets.ISO_8859_1));
    } catch (IOException ended) {
      return Optional.empty();
    }
  }

  /** What a descriptor leads to; nothing if it was closed meanwhile. */
  private static String link(Path descriptor) {
    try {
      return Files.readSymbolicLink(descriptor).toString();
    } catch (IOException e) {
      return "";
    }
  }

  /**
   * Resident memory of a process without shared memory, where the guest's image is.
   *
   * @param pid the process
   * @return bytes: VmRSS without RssShmem; 0 for a process that has ended
   */
  public static long residentBytesWithoutImage(long pid) {
    try {
      long resident = 0;
      for (String line : Files.readAllLines(PROC.resolve(Long.toString(pid)).resolve("status"))) {
        if (line.startsWith("VmRSS:")) {
          resident += kibibytes(line) * 1024;
        } else if (line.startsWith("RssShmem:")) {
          resident -= kibibytes(line) * 1024;
        }
      }
      return resident;
    } catch (IOException ended) {
      return 0;
    }
  }

  private static long kibibytes(String line) {
    return Long.parseLong(line.replaceAll("[^0-9]", ""));
  }

  /**
   * Unix sockets that are bound to a path below a folder.
   *
   * @param folder where
   * @throws IOException if the kernel's list cannot be read
   */
  public static List<String> unixSocketsBelow(Path folder) throws IOException {
    try (Stream<String> lines = Files.lines(PROC.resolve("net/unix"))) {
      return lines
          .filter(line -> line.contains(" " + folder + "/"))
          .map(line -> line.substring(line.indexOf('/')))
          .distinct()
          .toList();
    }
  }
}
