package io.pageferry.integration.process;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A demo guest, on either host, as its QMP socket shows it. On the target an agent starts it, so
 * that there the process is not ours.
 *
 * <p>Each question is a QMP connection of its own: while an agent talks to the guest, a question
 * waits for its turn.
 */
public final class DemoGuest {
  private static final Duration START_LIMIT = Duration.ofSeconds(60);
  private static final Duration ANSWER_LIMIT = Duration.ofSeconds(60);

  private final DemoGuestSpec spec;
  private final Path qmp;
  private final List<Path> images;
  private final @Nullable RunningProcess process;

  private DemoGuest(
      DemoGuestSpec spec, Path qmp, List<Path> images, @Nullable RunningProcess process) {
    this.spec = spec;
    this.qmp = qmp;
    this.images = images;
    this.process = process;
  }

  static DemoGuest start(Workplace workplace, DemoGuestSpec spec, Path folder, Path imageFolder)
      throws IOException {
    RunningProcess process =
        workplace.start(
            "guest " + spec.name(),
            spec.command(folder, imageFolder, false),
            RunningProcess.Terminal.DETACHED,
            Map.of());
    return new DemoGuest(spec, spec.qmp(folder), spec.images(imageFolder), process);
  }

  /** The guest of a target host, once it has arrived there. */
  public static DemoGuest arrivedAt(TargetHost host, DemoGuestSpec spec) {
    return new DemoGuest(spec, host.qmp(spec), spec.images(host.imageFolder()), null);
  }

  /** A guest that runs anywhere within reach of its socket, in a container for example. */
  public static DemoGuest answeringAt(Path qmp, DemoGuestSpec spec) {
    return new DemoGuest(spec, qmp, List.of(), null);
  }

  /**
   * Waits until the guest runs and its memory is written.
   *
   * @return this
   * @throws ProcessFailure if it does not come up
   * @throws InterruptedException if this thread was interrupted
   */
  public DemoGuest awaitReady() throws ProcessFailure, InterruptedException {
    RunningProcess own = process();
    long deadline = System.nanoTime() + START_LIMIT.toNanos();
    String last = "no answer yet";
    while (System.nanoTime() < deadline && own.isAlive()) {
      try (QmpQuestions questions = QmpQuestions.open(qmp, ANSWER_LIMIT)) {
        if (questions.ask("query-status").path("running").asBoolean()) {
          return this;
        }
        last = "it does not run";
      } catch (IOException notYet) {
        last = String.valueOf(notYet.getMessage());
      }
      Thread.sleep(20);
    }
    throw new ProcessFailure(
        "guest %s did not start: %s%n%s".formatted(spec.name(), last, own.state()));
  }

  /** Its process, where it was started from here. */
  public RunningProcess process() {
    if (process == null) {
      throw new IllegalStateException("the guest " + spec.name() + " was started by an agent");
    }
    return process;
  }

  /** What it is. */
  public DemoGuestSpec spec() {
    return spec;
  }

  /** Its image files, in region order. */
  public List<Path> images() {
    return images;
  }

  /** Its QMP socket. */
  public Path qmp() {
    return qmp;
  }

  /**
   * Asks one question.
   *
   * @param command a QMP command without arguments
   * @return what the guest returned
   * @throws IOException if it does not answer or answers with an error
   */
  public JsonNode ask(String command) throws IOException {
    try (QmpQuestions questions = QmpQuestions.open(qmp, ANSWER_LIMIT)) {
      return questions.ask(command);
    }
  }

  /** What the guest counted: {@code x-pageferry-ticks}. */
  public JsonNode ticks() throws IOException {
    return ask("x-pageferry-ticks");
  }

  /**
   * Lets the guest check each of its pages now: number, generation, checksum.
   *
   * @return {@code x-pageferry-verify}'s answer; {@code faultsFound} counts everything wrong since
   *     the guest began
   * @throws IOException if it does not answer
   */
  public JsonNode verify() throws IOException {
    return ask("x-pageferry-verify");
  }

  /** Whether it runs. */
  public boolean isRunning() throws IOException {
    return ask("query-status").path("running").asBoolean();
  }

  /** Asks it to end. */
  public void quit() throws IOException {
    ask("quit");
  }
}
