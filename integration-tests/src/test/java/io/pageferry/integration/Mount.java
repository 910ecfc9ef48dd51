package io.pageferry.integration;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/** Small file systems for tests; needs root. */
final class Mount {
  private Mount() {}

  /** Mounts a tmpfs of this size. */
  static void tmpfs(Path folder, String size) throws IOException, InterruptedException {
    run("mount", "-t", "tmpfs", "-o", "size=" + size, "tmpfs", folder.toString());
  }

  /** Takes the right to write away from a mounted file system. */
  static void readOnly(Path folder) throws IOException, InterruptedException {
    run("mount", "-o", "remount,ro", folder.toString());
  }

  /** Unmounts it. */
  static void remove(Path folder) throws IOException, InterruptedException {
    run("umount", "--lazy", folder.toString());
  }

  /** Runs a command that must succeed and returns its output. */
  static String run(String... command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IOException(List.of(command) + ": " + output);
    }
    return output;
  }
}
