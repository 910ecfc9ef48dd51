package io.pageferry.guest.demo;

import io.pageferry.guest.control.QmpControl;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;

/** A demo guest as a process of its own, with the class path of the tests. */
final class DemoProcess implements AutoCloseable {
  static final Duration LIMIT = Duration.ofSeconds(60);

  private final Process process;
  private final Path socket;
  private final Path log;

  private DemoProcess(Process process, Path socket, Path log) {
    this.process = process;
    this.socket = socket;
    this.log = log;
  }

  /** A folder on tmpfs, where guests' memory lies. */
  static Path memoryFolder() throws IOException {
    Path shm = Path.of("/dev/shm");
    return Files.isWritable(shm)
        ? Files.createTempDirectory(shm, "pageferry-test-")
        : Files.createTempDirectory("pageferry-test-");
  }

  static void delete(Path folder) throws IOException {
    try (var files = Files.newDirectoryStream(folder)) {
      for (Path file : files) {
        // A guest that is ending may remove what is its own.
        Files.deleteIfExists(file);
      }
    }
    Files.delete(folder);
  }

  /** Starts a guest; {@code name} is its socket's and its log's. */
  static DemoProcess start(Path folder, String name, String... options) throws IOException {
    Path socket = folder.resolve(name + ".sock");
    Path log = folder.resolve(name + ".log");
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "-Xmx32m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            DemoGuest.class.getName(),
            "--qmp",
            socket.toString()));
    command.addAll(List.of(options));
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    return new DemoProcess(process, socket, log);
  }

  /** Waits until it answers. */
  QmpControl control() {
    Awaitility.await()
        .atMost(LIMIT)
        .pollInterval(Duration.ofMillis(20))
        .until(() -> output().contains("answers QMP") || !process.isAlive());
    try {
      return QmpControl.connect(socket, LIMIT);
    } catch (IOException e) {
      throw new AssertionError("the guest does not answer; it said: " + output(), e);
    }
  }

  Path socket() {
    return socket;
  }

  Process process() {
    return process;
  }

  int exitCode() throws InterruptedException {
    if (!process.waitFor(LIMIT.toSeconds(), TimeUnit.SECONDS)) {
      throw new AssertionError("the guest does not end; it said: " + output());
    }
    return process.exitValue();
  }

  String output() {
    try {
      return Files.readString(log);
    } catch (IOException e) {
      return "nothing (" + e + ")";
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
