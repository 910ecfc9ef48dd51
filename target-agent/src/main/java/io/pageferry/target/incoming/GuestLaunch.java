package io.pageferry.target.incoming;

import io.pageferry.agent.process.MigrationProcesses;
import io.pageferry.guest.description.GuestDescription;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/**
 * The guest's process, started paused and waiting for its device state.
 *
 * <p>It outlives the agent: it is in a session of its own, so that Ctrl-C at the agent's terminal
 * does not reach it, and holds none of the agent's files. It carries the migration's number in its
 * environment, so that a sweep finds it even when the agent was killed before it could write down
 * its process number.
 */
public final class GuestLaunch {
  private static final Path SETSID = Path.of("/usr/bin/setsid");

  private final Process process;
  private final GuestDescription description;
  private final UUID migration;
  private final long logBefore;

  private GuestLaunch(
      Process process, GuestDescription description, UUID migration, long logBefore) {
    this.process = process;
    this.description = description;
    this.migration = migration;
    this.logBefore = logBefore;
  }

  /**
   * Starts it.
   *
   * @throws IOException when the program cannot be started, or its log not be opened
   */
  static GuestLaunch start(GuestDescription description, UUID migration) throws IOException {
    List<String> command = new ArrayList<>();
    if (Files.isExecutable(SETSID)) {
      // It replaces itself by the guest: the process number is the guest's own.
      command.add(SETSID.toString());
    } else if (!Files.isExecutable(Path.of(description.launch().getFirst()))
        && description.launch().getFirst().contains("/")) {
      throw new IOException(description.launch().getFirst() + " is no program that can be run");
    }
    command.addAll(description.launch());
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.directory(description.folder().toFile());
    builder.redirectInput(new File("/dev/null"));
    builder.redirectErrorStream(true);
    long logBefore = 0;
    if (description.log().isPresent()) {
      File log = description.log().get().toFile();
      logBefore = log.length();
      builder.redirectOutput(ProcessBuilder.Redirect.appendTo(log));
    } else {
      builder.redirectOutput(ProcessBuilder.Redirect.DISCARD);
    }
    builder.environment().putAll(MigrationProcesses.markOfTarget(migration));
    return new GuestLaunch(builder.start(), description, migration, logBefore);
  }

  public ProcessHandle handle() {
    return process.toHandle();
  }

  public boolean isAlive() {
    return process.isAlive();
  }

  /** Whether it has ended, or does so in that time. */
  public boolean endsWithin(Duration limit) {
    try {
      return process.waitFor(limit.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** Has that run, on some thread, when the process has ended. */
  public void onEnd(Runnable action) {
    var _ = process.onExit().thenRun(action);
  }

  /** How it ended, for a sentence: its exit code and the last lines it wrote. */
  public String lastWords() {
    String code = process.isAlive() ? "" : " with exit code " + process.exitValue();
    return code + GuestLog.lastLines(description.log().orElse(null), logBefore);
  }

  /** Ends it, with everything it started, and returns when it is gone. */
  void end() {
    MigrationProcesses.end(migration, process.toHandle());
  }
}
