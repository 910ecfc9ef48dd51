package io.pageferry.integration.process;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/**
 * One process that was started here: what it wrote, signals to it, its end.
 *
 * <p>Threads: any. {@link #close()} kills it if it still runs.
 */
public final class RunningProcess implements AutoCloseable {
  /** Where the process writes to and who its terminal's Ctrl-C reaches. */
  public enum Terminal {
    /**
     * Output is captured; the process is in a session of its own, so a Ctrl-C of this terminal does
     * not reach it.
     */
    DETACHED,
    /** Shares this process's terminal: output appears at once, and a Ctrl-C reaches both. */
    SHARED
  }

  /** Signals as kill(1) names them. */
  public enum Signal {
    /** What Ctrl-C sends. */
    INT,
    /** A polite request to end. */
    TERM,
    /** The end, without a chance to clean up. */
    KILL,
    /** Stands still until {@link #CONT}. */
    STOP,
    /** Goes on. */
    CONT,
    /** Makes a Java process write its threads' stacks. */
    QUIT
  }

  private final String name;
  private final Process process;
  private final Transcript transcript;

  private RunningProcess(String name, Process process, Transcript transcript) {
    this.name = name;
    this.process = process;
    this.transcript = transcript;
  }

  /**
   * Starts a process.
   *
   * @param name what to call it in messages
   * @param command program and arguments
   * @param terminal captured or shared
   * @param environment variables beyond this process's own
   * @throws IOException if it cannot be started
   */
  public static RunningProcess start(
      String name, List<String> command, Terminal terminal, Map<String, String> environment)
      throws IOException {
    List<String> full = new ArrayList<>();
    // A shell that starts us in the background makes us ignore SIGINT, children inherit that, and a
    // Java process that
    // was started so never installs its handler: Ctrl-C would do nothing to it.
    full.addAll(List.of("env", "--default-signal=INT,TERM,HUP"));
    if (terminal == Terminal.DETACHED) {
      full.add("setsid");
    }
    full.addAll(command);
    ProcessBuilder builder = new ProcessBuilder(full);
    builder.environment().putAll(environment);
    if (terminal == Terminal.SHARED) {
      builder.inheritIO();
      return new RunningProcess(name, builder.start(), new Transcript(0));
    }
    builder.redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")));
    Process process = builder.start();
    Transcript transcript = new Transcript(2);
    capture(name, process.getInputStream(), Transcript.Stream.OUT, transcript);
    capture(name, process.getErrorStream(), Transcript.Stream.ERR, transcript);
    return new RunningProcess(name, process, transcript);
  }

  private static void capture(
      String name, InputStream from, Transcript.Stream stream, Transcript transcript) {
    Thread.ofPlatform()
        .daemon()
        .name(name + "-" + stream)
        .start(
            () -> {
              try (BufferedReader reader =
                  new BufferedReader(new InputStreamReader(from, StandardCharsets.UTF_8))) {
                for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                  transcript.add(stream, line);
                }
              } catch (IOException ended) {
                transcript.add(stream, "(reading ended: " + ended.getMessage() + ")");
              } finally {
                transcript.streamEnded();
              }
            });
  }

  /** What to call it. */
  public String name() {
    return name;
  }

  /** Its process number. */
  public long pid() {
    return process.pid();
  }

  /** Whether it runs. */
  public boolean isAlive() {
    return process.isAlive();
  }

  /** What it has written; empty where the terminal is shared. */
  public Transcript transcript() {
    return transcript;
  }

  /**
   * Waits for a line of its output.
   *
   * @param what what the line means, for the message
   * @param wanted what it is to be like
   * @param limit how long to wait
   * @return the line
   * @throws ProcessFailure if the process ended or the limit passed without it
   * @throws InterruptedException if this thread was interrupted
   */
  public String awaitLine(String what, Predicate<String> wanted, Duration limit)
      throws ProcessFailure, InterruptedException {
    Optional<String> line = transcript.await(wanted, limit);
    if (line.isEmpty()) {
      throw new ProcessFailure(
          "%s: no sign of \"%s\" within %s%n%s".formatted(name, what, limit, state()));
    }
    return line.get();
  }

  /**
   * Waits for its end.
   *
   * @param limit how long to wait
   * @return its exit code
   * @throws ProcessFailure if it still runs when the limit has passed; the message holds its
   *     threads' stacks
   * @throws InterruptedException if this thread was interrupted
   */
  public int awaitExit(Duration limit) throws ProcessFailure, InterruptedException {
    if (!process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS)) {
      throw new ProcessFailure("%s still runs after %s%n%s".formatted(name, limit, state()));
    }
    transcript.awaitEnd(Duration.ofSeconds(2));
    return process.exitValue();
  }

  /**
   * Sends a signal; a process that has ended already is left alone.
   *
   * @throws IOException if kill(1) cannot be started
   * @throws InterruptedException if this thread was interrupted
   */
  public void signal(Signal signal) throws IOException, InterruptedException {
    if (process.isAlive()) {
      new ProcessBuilder("kill", "-" + signal, Long.toString(pid()))
          .redirectErrorStream(true)
          .start()
          .waitFor();
    }
  }

  /**
   * What is known of the process, for a failure's message: whether it runs, the stacks of its
   * threads if it is a Java process, what it wrote.
   */
  public String state() {
    boolean alive = process.isAlive();
    if (alive && isJava()) {
      try {
        signal(Signal.QUIT);
        // The stacks end with the heap's figures.
        transcript.await(line -> line.contains("Metaspace"), Duration.ofSeconds(2));
      } catch (IOException notKilled) {
        // The rest of the state still helps.
      } catch (InterruptedException interrupted) {
        Thread.currentThread().interrupt();
      }
    }
    return "--- %s, process %d, %s%n%s---"
        .formatted(
            name,
            pid(),
            alive ? "running" : "ended with exit code " + process.exitValue(),
            transcript.text());
  }

  private boolean isJava() {
    try {
      return Files.readSymbolicLink(Path.of("/proc", Long.toString(pid()), "exe"))
          .endsWith("bin/java");
    } catch (IOException gone) {
      return false;
    }
  }

  /** Asks it to end and does not wait. */
  public void requestEnd() {
    process.destroy();
  }

  /** Asks it to end, and kills it when it has not within the limit. */
  public void stop(Duration limit) {
    process.destroy();
    try {
      if (!process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS)) {
        process.destroyForcibly().waitFor(5, TimeUnit.SECONDS);
      }
    } catch (InterruptedException interrupted) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }

  /** Kills it. */
  @Override
  public void close() {
    if (process.isAlive()) {
      stop(Duration.ZERO);
    }
  }
}
