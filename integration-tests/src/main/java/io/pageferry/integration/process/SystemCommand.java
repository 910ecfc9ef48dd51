package io.pageferry.integration.process;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Runs the system's own small commands, such as {@code ip} and {@code mount}. */
public final class SystemCommand {
  private SystemCommand() {}

  /**
   * Runs a command that must succeed.
   *
   * @param command program and arguments
   * @return all it wrote
   * @throws IOException if it cannot be started or fails; with what it wrote
   * @throws InterruptedException if this thread was interrupted
   */
  public static String run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(List.of(command) + ": " + output);
    }
    return output;
  }
}
