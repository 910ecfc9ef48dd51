package io.pageferry.guest.fault;

import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.HandoverListener;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/** A {@link FaultingMain} as seen from the test. */
final class FaultingProcess implements AutoCloseable {
  private static final Duration LIMIT = Duration.ofSeconds(60);

  private final Process process;
  private final BufferedWriter commands;
  private final Map<Integer, CompletableFuture<String>> answers = new ConcurrentHashMap<>();
  private int next;

  private FaultingProcess(Process process) {
    this.process = process;
    this.commands =
        new BufferedWriter(
            new OutputStreamWriter(process.getOutputStream(), StandardCharsets.UTF_8));
    answers.put(next++, new CompletableFuture<>());
    Thread.ofPlatform().daemon().start(this::readAnswers);
  }

  /** What the first word of a page is when it came from the source; never 0. */
  static long content(int region, long page) {
    return (page + 1) * 0x9E3779B97F4A7C15L + region | 1;
  }

  /** Starts a guest with these regions: {@code file:PATH}, {@code anonymous:BYTES}, … */
  static FaultingProcess start(String... regions) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-Xmx64m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                FaultingMain.class.getName()));
    command.addAll(List.of(regions));
    FaultingProcess started =
        new FaultingProcess(
            new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start());
    started.answer(0).get(LIMIT.toSeconds(), TimeUnit.SECONDS);
    return started;
  }

  private CompletableFuture<String> answer(int number) {
    return answers.computeIfAbsent(number, n -> new CompletableFuture<>());
  }

  private void readAnswers() {
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      for (String line = reader.readLine(); line != null; line = reader.readLine()) {
        int space = line.indexOf(' ');
        answer(Integer.parseInt(line.substring(0, space))).complete(line.substring(space + 1));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Sends a command; the answer comes when it is done. */
  synchronized CompletableFuture<String> tell(String command) throws IOException {
    int number = next++;
    CompletableFuture<String> answer = answer(number);
    commands.write(number + " " + command + "\n");
    commands.flush();
    return answer;
  }

  /** Sends a command and waits for its answer. */
  String ask(String command) throws Exception {
    return tell(command).get(LIMIT.toSeconds(), TimeUnit.SECONDS);
  }

  long read(int region, long page) throws Exception {
    return Long.parseLong(ask("read " + region + " " + page));
  }

  /** Has it hand its memory over, for the first time or again. */
  GuestHandover handOver(Path folder) throws Exception {
    return handOver(folder, "handover");
  }

  /** Has it hand its memory over by that command. */
  GuestHandover handOver(Path folder, String command) throws Exception {
    Path socket = folder.resolve("handover.sock");
    try (HandoverListener listener = HandoverListener.bind(socket)) {
      CompletableFuture<String> done = tell(command + " " + socket);
      GuestHandover handover = listener.accept(LIMIT);
      done.get(LIMIT.toSeconds(), TimeUnit.SECONDS);
      return handover;
    }
  }

  void kill() {
    process.destroyForcibly().onExit().join();
  }

  @Override
  public void close() {
    kill();
  }
}
