package io.pageferry.integration;

import static org.awaitility.Awaitility.await;

import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SystemCommand;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * A guest that is steered by commands, {@code src/test/c/command_guest.c}, as it is on one host.
 *
 * @param program the compiled program, which is the guest and its commands
 * @param name of the guest
 * @param socket where its commands find it
 * @param image its memory
 */
record CommandGuest(Path program, String name, Path socket, Path image) {
  static final long BYTES = 16 << 20;
  static final long PAGES = BYTES / 4096;

  /** Compiles it. */
  static Path compile(Workplace workplace) throws IOException, InterruptedException {
    return CProgram.compile("command_guest", workplace.folder());
  }

  /** The guest of that name in the folders of a host. */
  static CommandGuest in(Path folder, Path imageFolder, Path program, String name) {
    return new CommandGuest(
        program, name, folder.resolve(name + ".steer"), imageFolder.resolve(name + ".ram"));
  }

  /** Starts it, with memory that it has written. */
  RunningProcess start(Workplace workplace) throws IOException {
    RunningProcess process =
        workplace.start("guest " + name, command(false), Terminal.DETACHED, Map.of());
    await("the guest").atMost(Journey.LIMIT).until(() -> tell("status").equals("running"));
    return process;
  }

  private List<String> command(boolean incoming) {
    List<String> words =
        new ArrayList<>(
            List.of(
                program.toString(),
                "run",
                socket.toString(),
                image.toString(),
                Long.toString(BYTES)));
    if (incoming) {
      words.add("incoming");
    }
    return words;
  }

  /** Gives it one of its commands, as its description does. */
  String tell(String command) throws IOException, InterruptedException {
    return SystemCommand.run(program.toString(), "tell", socket.toString(), command).strip();
  }

  boolean isRunning() throws IOException, InterruptedException {
    return tell("status").equals("running");
  }

  /** What it says of itself once it has checked all of its memory. */
  long count(String what) throws IOException, InterruptedException {
    String said = tell("verify");
    for (String word : said.split(" ", -1)) {
      if (word.startsWith(what + "=")) {
        return Long.parseLong(word.substring(what.length() + 1));
      }
    }
    throw new IOException("it does not say its " + what + ": " + said);
  }

  /** The words of a command. */
  String words(String command, String... more) {
    List<String> words =
        new ArrayList<>(List.of(program.toString(), "tell", socket.toString(), command));
    words.addAll(List.of(more));
    return list(words);
  }

  static String list(List<String> words) {
    return words.stream()
        .map(word -> '"' + word.replace("\\", "\\\\").replace("\"", "\\\"") + '"')
        .collect(Collectors.joining(", ", "[", "]"));
  }

  /** A line for the shell as a command. */
  static String shell(String line) {
    return list(List.of("sh", "-c", line));
  }

  /** All of its commands. */
  Map<String, String> commands() {
    Map<String, String> commands = new LinkedHashMap<>();
    for (String command : List.of("pause", "resume", "status", "quit")) {
      commands.put(command, words(command));
    }
    commands.put("save-state", words("save", "{state}"));
    commands.put("load-state", words("load", "{state}"));
    commands.put("timeout", "20s");
    return commands;
  }

  /**
   * Its description.
   *
   * @param commands each as YAML
   * @param launched whether it is the one that is launched on the target
   * @param more lines
   */
  String description(Map<String, String> commands, boolean launched, String... more) {
    StringBuilder text = new StringBuilder("name: " + name + "\nmemory:\n");
    text.append("  - { name: ram, path: \"").append(image).append("\" }\n");
    text.append("control:\n  commands:\n");
    commands.forEach(
        (key, words) -> text.append("    ").append(key).append(": ").append(words).append('\n'));
    if (launched) {
      text.append("launch: ").append(list(command(true))).append('\n');
      text.append("log: \"").append(socket).append(".log\"\n");
    }
    for (String line : more) {
      text.append(line).append('\n');
    }
    return text.toString();
  }
}
