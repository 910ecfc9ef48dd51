package io.pageferry.agent.process;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The processes that were started for one migration, a launched guest and the commands that control
 * one, found by the mark in their environment. A mark is never used twice, so unlike a process
 * number it cannot come to mean another process.
 */
public final class MigrationProcesses {
  private static final String MARK = "PAGEFERRY_MIGRATION";

  /** Both sides may be on one host, and what the target ends is not to be the source's. */
  private static final String OF_SOURCE = "-source";

  private static final Logger LOG = LoggerFactory.getLogger(MigrationProcesses.class);
  private static final Path PROC = Path.of("/proc");

  /** A guest that waits for its state has nothing to save: it only tidies up its sockets. */
  private static final Duration GRACE = Duration.ofSeconds(1);

  private static final Duration REAPING = Duration.ofSeconds(5);

  private MigrationProcesses() {}

  /** The mark of what the target starts. */
  public static Map<String, String> markOfTarget(UUID migration) {
    return Map.of(MARK, migration.toString());
  }

  /** The mark of what the source starts. */
  public static Map<String, String> markOfSource(UUID migration) {
    return Map.of(MARK, migration + OF_SOURCE);
  }

  /** The target's living processes of this migration, and that one, if given and alive. */
  public static Set<ProcessHandle> find(UUID migration, @Nullable ProcessHandle known) {
    return marked(migration.toString(), known);
  }

  private static Set<ProcessHandle> marked(String value, @Nullable ProcessHandle known) {
    Set<ProcessHandle> found = new LinkedHashSet<>();
    if (known != null && known.isAlive()) {
      found.add(known);
      known.descendants().forEach(found::add);
    }
    byte[] mark = (MARK + "=" + value).getBytes(StandardCharsets.US_ASCII);
    try (Stream<Path> entries = Files.list(PROC)) {
      entries
          .map(entry -> entry.getFileName().toString())
          .filter(name -> name.chars().allMatch(c -> c >= '0' && c <= '9'))
          .filter(name -> isMarked(PROC.resolve(name), mark))
          .flatMap(name -> ProcessHandle.of(Long.parseLong(name)).stream())
          .filter(process -> process.isAlive() && process.pid() != ProcessHandle.current().pid())
          .forEach(found::add);
    } catch (IOException e) {
      LOG.debug("cannot list the processes", e);
    }
    return found;
  }

  /** Waits for the source's to end by themselves, and ends those that do not. */
  public static void settleSource(UUID migration, Duration limit) {
    String value = migration + OF_SOURCE;
    if (!gone(marked(value, null), limit)) {
      end(value, null);
    }
  }

  /** Ends the target's: asked first, then killed; returns when they are gone. */
  public static void end(UUID migration, @Nullable ProcessHandle known) {
    end(migration.toString(), known);
  }

  private static void end(String value, @Nullable ProcessHandle known) {
    Set<ProcessHandle> processes = marked(value, known);
    processes.forEach(ProcessHandle::destroy);
    if (!gone(processes, GRACE)) {
      // Whatever was started meanwhile is found by its mark as well.
      processes.addAll(marked(value, known));
      processes.forEach(ProcessHandle::destroyForcibly);
      if (!gone(processes, REAPING)) {
        LOG.warn("processes of migration {} do not end: {}", value, processes);
      }
    }
  }

  private static boolean gone(Set<ProcessHandle> processes, Duration limit) {
    long deadline = System.nanoTime() + limit.toNanos();
    boolean interrupted = false;
    try {
      for (ProcessHandle process : processes) {
        while (process.isAlive()) {
          try {
            process.onExit().get(Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
          } catch (InterruptedException e) {
            // Cleaning up is finished all the same; the interrupt is passed on afterwards.
            interrupted = true;
          } catch (ExecutionException | TimeoutException e) {
            return !process.isAlive();
          }
        }
      }
      return true;
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static boolean isMarked(Path process, byte[] mark) {
    try {
      byte[] environment = Files.readAllBytes(process.resolve("environ"));
      for (int at = 0; at + mark.length <= environment.length; at++) {
        if (matches(environment, at, mark)) {
          return true;
        }
      }
      return false;
    } catch (IOException e) {
      // Ended meanwhile, or another user's: not one that we launched.
      return false;
    }
  }

  /** Whether a whole entry of the environment begins here: entries end with a zero byte. */
  private static boolean matches(byte[] environment, int at, byte[] mark) {
    if (at > 0 && environment[at - 1] != 0) {
      return false;
    }
    for (int i = 0; i < mark.length; i++) {
      if (environment[at + i] != mark[i]) {
        return false;
      }
    }
    int end = at + mark.length;
    return end == environment.length || environment[end] == 0;
  }
}
