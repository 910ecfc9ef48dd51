package io.pageferry.guest.attach;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A process of {@code src/test/c/bystander.c}, as seen from the test. */
final class Bystander implements AutoCloseable {
  static final long BYTES = 8 << 20;

  private final Process process;
  private final BufferedWriter commands;
  private final BufferedReader answers;

  private Bystander(Process process) throws IOException {
    this.process = process;
    commands =
        new BufferedWriter(
            new OutputStreamWriter(process.getOutputStream(), StandardCharsets.UTF_8));
    answers =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    assertThat(answers.readLine()).isEqualTo("ready");
  }

  /** Compiles the program into a folder. */
  static Path compile(Path folder) throws Exception {
    Path program = folder.resolve("bystander");
    compile(program, "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "src/test/c/bystander.c");
    return program;
  }

  static void compile(Path program, String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of("gcc", "-o", program.toString()));
    command.addAll(Arrays.asList(arguments));
    assertThat(new ProcessBuilder(command).inheritIO().start().waitFor()).isZero();
  }

  static Bystander start(Path program, Path file, String... roles) throws IOException {
    return start(List.of(), program, file, roles);
  }

  /** As the other, by way of a command that starts it. */
  static Bystander start(List<String> by, Path program, Path file, String... roles)
      throws IOException {
    List<String> command = new ArrayList<>(by);
    command.addAll(List.of(program.toString(), file.toString(), Long.toString(BYTES)));
    command.addAll(Arrays.asList(roles));
    return new Bystander(
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start());
  }

  int pid() {
    return (int) process.pid();
  }

  void tell(String command) throws IOException {
    commands.write(command + "\n");
    commands.flush();
  }

  String answer() throws IOException {
    return answers.readLine();
  }

  String ask(String command) throws IOException {
    tell(command);
    return answer();
  }

  /** What it noticed, how often its threads went round, how many signals came. */
  record State(long faults, long rounds, long signals) {}

  State state() throws IOException {
    long[] numbers = Arrays.stream(ask("state").split(" ", 3)).mapToLong(Long::parseLong).toArray();
    return new State(numbers[0], numbers[1], numbers[2]);
  }

  void signal(String name) throws Exception {
    assertThat(
            new ProcessBuilder("kill", "-" + name, Integer.toString(pid()))
                .inheritIO()
                .start()
                .waitFor())
        .isZero();
  }

  void kill() {
    process.destroyForcibly().onExit().join();
  }

  @Override
  public void close() {
    kill();
  }
}
