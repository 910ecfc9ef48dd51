package io.pageferry.guest.linux;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;

/**
 * How much memory this process could still take: what the host has, or what its control group
 * leaves, whichever is less. Going beyond it does not fail a call: it wakes the out-of-memory
 * killer.
 */
public final class AvailableMemory {
  private static final Path MEMINFO = Path.of("/proc/meminfo");
  private static final Path CGROUPS = Path.of("/sys/fs/cgroup");

  private AvailableMemory() {}

  /**
   * In bytes; an estimate, as the kernel's own is. {@link Long#MAX_VALUE} if nothing can be read.
   */
  public static long bytes() {
    return Math.min(ofHost(), ofControlGroup());
  }

  /** The memory of the host, whoever has it; 0 if it cannot be read. */
  public static long inAll() {
    try {
      for (String line : Files.readAllLines(MEMINFO)) {
        if (line.startsWith("MemTotal:")) {
          return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
        }
      }
    } catch (IOException e) {
      return 0;
    }
    return 0;
  }

  /** Free huge pages of this size, in bytes. */
  public static long hugePageBytes(long pageBytes) {
    Path pool =
        Path.of("/sys/kernel/mm/hugepages/hugepages-" + pageBytes / 1024 + "kB/free_hugepages");
    return number(pool).orElse(0) * pageBytes;
  }

  private static long ofHost() {
    try {
      long available = 0;
      for (String line : Files.readAllLines(MEMINFO)) {
        if (line.startsWith("MemAvailable:") || line.startsWith("SwapFree:")) {
          available += Long.parseLong(line.replaceAll("\\D", "")) * 1024;
        }
      }
      return available == 0 ? Long.MAX_VALUE : available;
    } catch (IOException e) {
      return Long.MAX_VALUE;
    }
  }

  private static long ofControlGroup() {
    long left = Long.MAX_VALUE;
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/cgroup"))) {
        // "0::/path" in version 2, "4:memory:/path" in version 1.
        String[] parts = line.split(":", 3);
        if (parts.length == 3 && (parts[1].isEmpty() || parts[1].equals("memory"))) {
          Path root = parts[1].isEmpty() ? CGROUPS : CGROUPS.resolve("memory");
          for (Path group = Path.of(parts[2]); group != null; group = group.getParent()) {
            Path folder = root.resolve(Path.of("/").relativize(group));
            left = Math.min(left, leftIn(folder, parts[1].isEmpty()));
          }
          // In a container the path is the host's, and its own group is mounted as the root.
          left = Math.min(left, leftIn(root, parts[1].isEmpty()));
        }
      }
    } catch (IOException e) {
      return Long.MAX_VALUE;
    }
    return left;
  }

  private static long leftIn(Path group, boolean version2) {
    OptionalLong limit = number(group.resolve(version2 ? "memory.max" : "memory.limit_in_bytes"));
    OptionalLong used =
        number(group.resolve(version2 ? "memory.current" : "memory.usage_in_bytes"));
    if (limit.isEmpty() || used.isEmpty()) {
      return Long.MAX_VALUE;
    }
    long reclaimable = reclaimable(group.resolve("memory.stat"));
    return Math.max(0, limit.getAsLong() - used.getAsLong() + reclaimable);
  }

  /** Cached pages of ordinary files count as used, and are given back when others need memory. */
  private static long reclaimable(Path stat) {
    try {
      for (String line : Files.readAllLines(stat)) {
        if (line.startsWith("inactive_file ")) {
          return Long.parseLong(line.substring(line.indexOf(' ') + 1).strip());
        }
      }
    } catch (IOException | NumberFormatException e) {
      return 0;
    }
    return 0;
  }

  private static OptionalLong number(Path file) {
    try {
      return OptionalLong.of(Long.parseLong(Files.readString(file).strip()));
    } catch (IOException | NumberFormatException e) {
      // Not there, or "max".
      return OptionalLong.empty();
    }
  }
}
