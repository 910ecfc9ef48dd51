package io.pageferry.target;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;

/** A target agent as a process of its own, by its command line. */
final class TargetProcess implements AutoCloseable {
  private final Process process;
  private final Path out;
  private final Path err;

  /** Serves the bench's guests on a free port of loopback. */
  TargetProcess(TargetBench bench) throws IOException {
    this(bench, Map.of());
  }

  /**
   * As the other.
   *
   * @param environment beside this process's own
   */
  TargetProcess(TargetBench bench, Map<String, String> environment) throws IOException {
    this(
        bench,
        environment,
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--plaintext",
        "--guests",
        bench.guests.toString(),
        "--state",
        bench.state.toString());
  }

  TargetProcess(TargetBench bench, String... arguments) throws IOException {
    this(bench, Map.of(), arguments);
  }

  private TargetProcess(TargetBench bench, Map<String, String> environment, String... arguments)
      throws IOException {
    out = Files.createTempFile(bench.root, "target", ".out");
    err = Files.createTempFile(bench.root, "target", ".err");
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--enable-native-access=ALL-UNNAMED"));
    command.addAll(
        List.of("-cp", System.getProperty("java.class.path"), "io.pageferry.target.TargetAgent"));
    command.addAll(List.of(arguments));
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectOutput(out.toFile()).redirectError(err.toFile());
    builder.environment().putAll(environment);
    process = builder.start();
  }

  InetSocketAddress address() {
    Awaitility.await()
        .atMost(TargetBench.PATIENCE)
        .until(() -> out().contains("listening on ") || !process.isAlive());
    String line =
        out().lines().filter(l -> l.startsWith("listening on ")).findFirst().orElseThrow();
    return new InetSocketAddress(
        InetAddress.getLoopbackAddress(),
        Integer.parseInt(line.substring(line.lastIndexOf(':') + 1)));
  }

  String out() {
    return read(out);
  }

  String err() {
    return read(err);
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return "";
    }
  }

  int exitCode() throws InterruptedException {
    if (!process.waitFor(TargetBench.PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
      throw new AssertionError("it does not end: " + err());
    }
    return process.exitValue();
  }

  /** As SIGTERM does. */
  void terminate() {
    process.destroy();
  }

  /** As kill -9 does. */
  void kill() throws InterruptedException {
    process.destroyForcibly().waitFor();
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
