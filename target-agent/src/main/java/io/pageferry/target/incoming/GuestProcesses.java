package io.pageferry.target.incoming;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashSet;
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
 * The processes that were launched for one migration, found by the mark in their environment. A
 * mark is never used twice, so unlike a process number it cannot come to mean another process.
 */
public final class GuestProcesses {
  static final String MARK = "PAGEFERRY_MIGRATION";

  private static final Logger LOG = LoggerFactory.getLogger(GuestProcesses.class);
  private static final Path PROC = Path.of("/proc");

  /** A guest that waits for its state has nothing to save: it only tidies up its sockets. */
  private static final Duration GRACE = Duration.ofSeconds(1);

  private static final Duration REAPING = Duration.ofSeconds(5);

  private GuestProcesses() {}

  /** The living processes with this migration's mark, and that one, if given and alive. */
  public static Set<ProcessHandle> find(UUID migration, @Nullable ProcessHandle known) {
    Set<ProcessHandle> found = new LinkedHashSet<>();
    if (known != null && known.isAlive()) {
      found.add(known);
      known.descendants().forEach(found::add);
    }
    byte[] mark = (MARK + "=" + migration).getBytes(StandardCharsets.US_ASCII);
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

  /** Ends them: asked first, then killed; returns when they are gone. */
  public static void end(UUID migration, @Nullable ProcessHandle known) {
    Set<ProcessHandle> processes = find(migration, known);
    processes.forEach(ProcessHandle::destroy);
    if (!gone(processes, GRACE)) {
      // Whatever was started meanwhile is found by its mark as well.
      processes.addAll(find(migration, known));
      processes.forEach(ProcessHandle::destroyForcibly);
      if (!gone(processes, REAPING)) {
        LOG.warn("processes of migration {} do not end: {}", migration, processes);
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
