package io.pageferry.guest.control;

import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One run of a user's command, in a session of its own: Ctrl-C at the agent's terminal does not
 * reach it, and all that it starts is known by that session.
 *
 * <p>What it writes goes to files and not through pipes, so that a process which it leaves running
 * with its output open delays nobody. {@link #kill} is for any thread, the rest for one.
 */
final class CommandRun implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(CommandRun.class);

  private static final Path SETSID = Path.of("/usr/bin/setsid");

  /** How much of what it says is looked at, from its end. */
  private static final int TAIL = 4096;

  private static final int SHOWN = 200;

  /** What was killed is gone in milliseconds, unless it hangs in the kernel. */
  private static final Duration REAPING = Duration.ofSeconds(5);

  /** Control characters, those above 127 as well: what it says ends up on terminals. */
  private static final Pattern CONTROL = Pattern.compile("\\p{Cc}");

  private final String what;
  private final Process process;
  private final Path complaints;
  private final @Nullable Path answers;
  private String lastLine = "";

  private CommandRun(String what, Process process, Path complaints, @Nullable Path answers) {
    this.what = what;
    this.process = process;
    this.complaints = complaints;
    this.answers = answers;
  }

  /**
   * Starts it.
   *
   * @param what what to call it in a sentence
   * @param folder where it runs
   * @param environment variables besides those of this process
   * @param place where its output is kept for the time of its run
   * @param input what it reads; nothing for null
   * @param output where its standard output goes; null to have it kept
   */
  static CommandRun start(
      String what,
      List<String> words,
      Path folder,
      Map<String, String> environment,
      PrivateFolder place,
      @Nullable Path input,
      @Nullable Path output)
      throws GuestControlException {
    Path complaints = place.resolve("complaints");
    Path answers = output == null ? place.resolve("answers") : output;
    List<String> command = new ArrayList<>();
    if (Files.isExecutable(SETSID)) {
      // It replaces itself by the command: the process number is the command's own.
      command.add(SETSID.toString());
    }
    command.addAll(words);
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.directory(folder.toFile());
    builder.environment().putAll(environment);
    builder.redirectInput(input == null ? new File("/dev/null") : input.toFile());
    builder.redirectOutput(answers.toFile());
    builder.redirectError(complaints.toFile());
    try {
      return new CommandRun(what, builder.start(), complaints, output == null ? answers : null);
    } catch (IOException e) {
      throw new GuestControlException("%s cannot be run: %s".formatted(what, e.getMessage()), e);
    }
  }

  /**
   * Waits until it has ended, also when this thread is interrupted, which it then still is.
   *
   * @throws GuestRefusedException when it ended with another exit code than 0
   * @throws GuestControlException when it did not end in time; it is killed then
   */
  void await(Duration timeout) throws GuestControlException {
    if (!ends(timeout)) {
      kill();
      throw new GuestControlException(
          "%s did not end within %d ms and was killed".formatted(what, timeout.toMillis()));
    }
    lastLine = answers == null ? "" : lastLineOf(answers);
    int code = process.exitValue();
    if (code != 0) {
      String said = lastLineOf(complaints);
      throw new GuestRefusedException(
          "%s ended with exit code %d%s"
              .formatted(what, code, said.isEmpty() ? "" : ": \"" + said + "\""));
    }
  }

  /** The last line that it wrote to standard output, if that was kept; empty if it wrote none. */
  String lastLine() {
    return lastLine;
  }

  /** Ends it with all that it has started, as far as that has not made itself independent. */
  void kill() {
    long deadline = System.nanoTime() + REAPING.toNanos();
    Set<ProcessHandle> found = processes();
    while (!found.isEmpty() && System.nanoTime() - deadline < 0) {
      found.forEach(ProcessHandle::destroyForcibly);
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(10));
      // One that was being started meanwhile.
      found = processes();
    }
    if (!found.isEmpty()) {
      LOG.warn("{} does not end: processes {}", what, found);
    }
  }

  private Set<ProcessHandle> processes() {
    Set<ProcessHandle> found = new LinkedHashSet<>();
    process.toHandle().descendants().filter(ProcessHandle::isAlive).forEach(found::add);
    ProcessHandle.allProcesses()
        .filter(other -> session(other.pid()) == process.pid())
        .filter(ProcessHandle::isAlive)
        .forEach(found::add);
    if (process.isAlive()) {
      found.add(process.toHandle());
    }
    return found;
  }

  /** The session of a process; -1 if it has none, or none any more. */
  private static long session(long pid) {
    try {
      String line =
          Files.readString(Path.of("/proc/" + pid + "/stat"), StandardCharsets.ISO_8859_1);
      // The name is in brackets and may hold anything; then state, parent, group, session.
      String[] fields = line.substring(line.lastIndexOf(')') + 2).split(" ", 5);
      return fields[0].equals("Z") ? -1 : Long.parseLong(fields[3]);
    } catch (IOException | RuntimeException e) {
      return -1;
    }
  }

  private boolean ends(Duration limit) {
    long deadline = System.nanoTime() + limit.toNanos();
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return process.waitFor(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static String lastLineOf(Path file) {
    try (RandomAccessFile opened = new RandomAccessFile(file.toFile(), "r")) {
      long start = Math.max(0, opened.length() - TAIL);
      byte[] bytes = new byte[(int) (opened.length() - start)];
      opened.seek(start);
      opened.readFully(bytes);
      String last =
          new String(bytes, StandardCharsets.UTF_8)
              .lines()
              .map(String::strip)
              .filter(line -> !line.isEmpty())
              .reduce("", (before, line) -> line);
      String shown = CONTROL.matcher(last).replaceAll(" ");
      return shown.length() > SHOWN ? shown.substring(0, SHOWN) : shown;
    } catch (IOException e) {
      return "";
    }
  }

  /** Removes what it wrote. */
  @Override
  public void close() {
    delete(complaints);
    if (answers != null) {
      delete(answers);
    }
  }

  /** Removes a file, or the folder that a command has made of it. */
  static void delete(Path file) {
    if (Files.notExists(file)) {
      return;
    }
    try (Stream<Path> tree = Files.walk(file)) {
      for (Path each : tree.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(each);
      }
    } catch (IOException | UncheckedIOException e) {
      LOG.debug("removing {}", file, e);
    }
  }
}
