package io.pageferry.integration.process;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * A guest in QEMU on one host, as its serial line and its QMP socket show it. On the target an
 * agent starts it, so that there the process is not ours.
 */
public final class QemuGuest implements AutoCloseable {
  /** A machine that does something else at the same time takes its time to boot a kernel. */
  private static final Duration BOOT_LIMIT = Duration.ofMinutes(3);

  private static final Duration ANSWER_LIMIT = Duration.ofMinutes(2);

  private final QemuGuestSpec spec;
  private final Path qmp;
  private final GuestConsole console;
  private final @Nullable RunningProcess process;

  private QemuGuest(QemuGuestSpec spec, Path folder, @Nullable RunningProcess process) {
    this.spec = spec;
    this.qmp = spec.qmp(folder);
    this.console = GuestConsole.watch(spec.console(folder));
    this.process = process;
  }

  static QemuGuest start(
      Workplace workplace,
      QemuGuestSpec spec,
      Path folder,
      Path imageFolder,
      Surroundings surroundings)
      throws IOException {
    RunningProcess process =
        workplace.start(
            "guest " + spec.name(),
            surroundings.before(spec.command(folder, imageFolder, false)),
            RunningProcess.Terminal.DETACHED,
            surroundings.environment());
    return new QemuGuest(spec, folder, process);
  }

  static QemuGuest startAsQemusOwnTarget(
      Workplace workplace,
      QemuGuestSpec spec,
      Path folder,
      Path imageFolder,
      Surroundings surroundings)
      throws IOException {
    RunningProcess process =
        workplace.start(
            "arriving guest " + spec.name(),
            surroundings.before(spec.commandOfQemusOwnTarget(folder, imageFolder)),
            RunningProcess.Terminal.DETACHED,
            surroundings.environment());
    return new QemuGuest(spec, folder, process);
  }

  /** The guest on a target host, to be watched from before it arrives there. */
  public static QemuGuest expectedAt(TargetHost host, QemuGuestSpec spec) {
    return new QemuGuest(spec, host.folder(), null);
  }

  /** A line to QEMU, of the caller's own. */
  QmpQuestions questions() throws IOException {
    return QmpQuestions.open(qmp, ANSWER_LIMIT);
  }

  /**
   * Waits until the guest has booted and written its memory.
   *
   * @return how many pages it has written
   */
  public long awaitReady() throws ProcessFailure, InterruptedException {
    try {
      return console.awaitReady(BOOT_LIMIT);
    } catch (ProcessFailure failure) {
      throw new ProcessFailure(failure.getMessage() + "\n" + process().state());
    }
  }

  /** Its process, where it was started from here. */
  public RunningProcess process() {
    if (process == null) {
      throw new IllegalStateException("the guest " + spec.name() + " was started by an agent");
    }
    return process;
  }

  /** What it is. */
  public QemuGuestSpec spec() {
    return spec;
  }

  /** Its serial line. */
  public GuestConsole console() {
    return console;
  }

  /** Has it check each page that it has written. */
  public GuestConsole.Verification verify() throws IOException, InterruptedException {
    return console.verify(ANSWER_LIMIT);
  }

  /** Has it give the memory that it has filled with noise back; returns how many pages. */
  public long freeNoise() throws IOException, InterruptedException {
    return console.freeNoise(ANSWER_LIMIT);
  }

  /** Whether it runs. */
  public boolean isRunning() throws IOException {
    try (QmpQuestions questions = questions()) {
      return questions.ask("query-status").path("running").asBoolean();
    }
  }

  /** Whether QEMU's own migration is set to do this. */
  public boolean hasCapability(String name) throws IOException {
    try (QmpQuestions questions = questions()) {
      for (JsonNode each : questions.ask("query-migrate-capabilities")) {
        if (each.path("capability").asText().equals(name)) {
          return each.path("state").asBoolean();
        }
      }
      throw new IOException("this QEMU does not know " + name);
    }
  }

  /** Which QEMU it runs in, as {@code 10.0}. */
  public String release() throws IOException {
    try (QmpQuestions questions = questions()) {
      JsonNode version = questions.ask("query-version").path("qemu");
      return version.path("major").asInt() + "." + version.path("minor").asInt();
    }
  }

  /** Has it stand still, or go on. */
  public void run(boolean on) throws IOException {
    try (QmpQuestions questions = questions()) {
      questions.ask(on ? "cont" : "stop");
    }
  }

  /** Asks it to end, and waits until its process has. */
  public void end() throws IOException, InterruptedException {
    quit();
    console.awaitEnd(ANSWER_LIMIT);
  }

  /** Asks it to end. */
  public void quit() throws IOException {
    try (QmpQuestions questions = questions()) {
      questions.ask("quit");
    }
  }

  /** Stops reading its serial line; the guest goes on. */
  @Override
  public void close() {
    console.close();
  }
}
