package io.pageferry.integration;

import io.pageferry.integration.process.SystemCommand;
import java.io.IOException;
import java.nio.file.Path;

/** Compiles a guest of the tests that is written in C, {@code src/test/c}. */
final class CProgram {
  private static final Path SOURCES = Path.of("src/test/c");

  private CProgram() {}

  /**
   * Warnings are errors.
   *
   * @param name of the source without its ending, and of the program
   * @param folder receives the program
   */
  static Path compile(String name, Path folder) throws IOException, InterruptedException {
    Path program = folder.resolve(name);
    SystemCommand.run(
        "gcc",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pthread",
        "-o",
        program.toString(),
        SOURCES.resolve(name + ".c").toAbsolutePath().toString());
    return program;
  }
}
