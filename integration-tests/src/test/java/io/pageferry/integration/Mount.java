package io.pageferry.integration;

import io.pageferry.integration.process.SystemCommand;
import java.io.IOException;
import java.nio.file.Path;

/** Small file systems for tests; needs root. */
final class Mount {
  private Mount() {}

  /** Mounts a tmpfs of this size. */
  static void tmpfs(Path folder, String size) throws IOException, InterruptedException {
    SystemCommand.run("mount", "-t", "tmpfs", "-o", "size=" + size, "tmpfs", folder.toString());
  }

  /** Mounts a file system of huge pages of 2 MiB. */
  static void hugePages(Path folder) throws IOException, InterruptedException {
    SystemCommand.run(
        "mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "hugetlbfs", folder.toString());
  }

  /** Shows a folder at another place as well. */
  static void folder(Path folder, Path place) throws IOException, InterruptedException {
    SystemCommand.run("mount", "--bind", folder.toString(), place.toString());
  }

  /** Takes the right to write away from a mounted file system. */
  static void readOnly(Path folder) throws IOException, InterruptedException {
    SystemCommand.run("mount", "-o", "remount,ro", folder.toString());
  }

  /** Unmounts it. */
  static void remove(Path folder) throws IOException, InterruptedException {
    SystemCommand.run("umount", "--lazy", folder.toString());
  }
}
