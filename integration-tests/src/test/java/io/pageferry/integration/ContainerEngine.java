package io.pageferry.integration;

import static org.awaitility.Awaitility.await;

import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SystemCommand;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.opentest4j.TestAbortedException;

/**
 * The machine's container engine and a base image with Java. Where no engine runs, one is started
 * for the test; where no image is given by {@code PAGEFERRY_BASE_IMAGE}, one is made without a
 * registry, once.
 */
final class ContainerEngine implements AutoCloseable {
  private static final String OWN_BASE = "pageferry/test-base";
  private static final Duration START = Duration.ofSeconds(60);
  private static final Duration MAKING = Duration.ofMinutes(8);

  private final @Nullable RunningProcess daemon;

  private ContainerEngine(@Nullable RunningProcess daemon) {
    this.daemon = daemon;
  }

  /** A machine without an engine runs the other tests; where all have to run, that is an error. */
  static ContainerEngine ofTests() throws IOException, InterruptedException {
    try {
      return running();
    } catch (IOException cannot) {
      if (System.getenv("PAGEFERRY_ALL_TESTS") != null) {
        throw cannot;
      }
      System.out.println("The tests with containers are left out: " + cannot.getMessage());
      throw new TestAbortedException(String.valueOf(cannot.getMessage()));
    }
  }

  private static ContainerEngine running() throws IOException {
    List<String> missing = new ArrayList<>();
    boolean answers = answers();
    if (!succeeds("docker", "--version") || (!answers && !succeeds("dockerd", "--version"))) {
      missing.add("docker.io");
    }
    if (!succeeds("docker-compose", "--version") && !succeeds("docker", "compose", "version")) {
      missing.add("docker-compose");
    }
    if (System.getenv("PAGEFERRY_BASE_IMAGE") == null && !succeeds("debootstrap", "--version")) {
      missing.add("debootstrap");
    }
    if (!missing.isEmpty()) {
      throw new IOException(
          "they need what is not installed here: apt-get install " + String.join(" ", missing));
    }
    if (answers) {
      return new ContainerEngine(null);
    }
    RunningProcess daemon =
        RunningProcess.start("dockerd", List.of("dockerd"), Terminal.DETACHED, Map.of());
    await("dockerd").atMost(START).until(() -> answers() || !daemon.isAlive());
    if (!daemon.isAlive()) {
      throw new IOException(
          "no container engine answers and none can be started: "
              + daemon.transcript().text().strip().lines().reduce("", (before, last) -> last));
    }
    return new ContainerEngine(daemon);
  }

  private static boolean answers() {
    return succeeds("docker", "info");
  }

  private static boolean succeeds(String... command) {
    try {
      SystemCommand.run(command);
      return true;
    } catch (IOException failed) {
      return false;
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** The name of an image with bash and a JRE. */
  String baseImage() throws IOException, InterruptedException {
    String given = System.getenv("PAGEFERRY_BASE_IMAGE");
    if (given != null) {
      return given;
    }
    if (!succeeds("docker", "image", "inspect", OWN_BASE)) {
      try (RunningProcess making =
          RunningProcess.start(
              "docker/base-image",
              List.of(Path.of("..", "docker", "base-image").toString(), OWN_BASE),
              Terminal.DETACHED,
              Map.of("JAVA_HOME", System.getProperty("java.home")))) {
        if (making.awaitExit(MAKING) != 0) {
          throw new IOException(making.state());
        }
      }
    }
    return OWN_BASE;
  }

  @Override
  public void close() {
    if (daemon != null) {
      daemon.stop(START);
    }
  }
}
