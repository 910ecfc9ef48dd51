package io.pageferry.guest.dirty;

import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.HandoverListener;
import io.pageferry.guest.handover.HandoverMode;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** A {@link WriterMain} as seen from the test. */
public final class WriterProcess implements AutoCloseable {
  private final Process process;
  private final BufferedWriter commands;
  private final BufferedReader answers;
  private final String firstFile;

  private WriterProcess(Process process) throws IOException {
    this.process = process;
    commands =
        new BufferedWriter(
            new OutputStreamWriter(process.getOutputStream(), StandardCharsets.UTF_8));
    answers =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    firstFile = answer().replace("ready /proc/self", "/proc/" + process.pid());
  }

  /** Starts a guest on these files; {@code memfd:BYTES} is a memfd of its own. */
  public static WriterProcess start(List<String> files) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-Xmx64m",
                "-XX:+UseSerialGC",
                "-cp",
                System.getProperty("java.class.path"),
                WriterMain.class.getName()));
    command.addAll(files);
    return new WriterProcess(
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start());
  }

  public int pid() {
    return (int) process.pid();
  }

  /** How this process can open the guest's memfd. */
  public Path memfd() {
    return Path.of(firstFile);
  }

  public String tell(String command) throws IOException {
    commands.write(command + "\n");
    commands.flush();
    return answer();
  }

  private String answer() throws IOException {
    String line = answers.readLine();
    if (line == null) {
      throw new IOException("the writer ended");
    }
    return line;
  }

  public GuestHandover handOver(Path folder) throws IOException {
    Path socket = folder.resolve("handover.sock");
    try (HandoverListener listener = HandoverListener.bind(socket)) {
      tell("handover " + socket + " " + HandoverMode.WRITE_PROTECT);
      return listener.accept(Duration.ofSeconds(60));
    }
  }

  public void kill() {
    process.destroyForcibly().onExit().join();
  }

  @Override
  public void close() {
    kill();
  }
}
