package io.pageferry.guest.linux;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What another process has mapped where, from {@code /proc/PID/maps}. */
public final class ProcessMaps {
  /**
   * One mapping; addresses and offset in bytes.
   *
   * @param end the first address behind it
   * @param executable whether it may be executed
   * @param shared whether what is written through it reaches the file
   * @param offset of {@code start} in the file
   * @param device major number in the upper, minor in the lower 32 bits; 0 for anonymous memory
   * @param inode 0 for anonymous memory
   * @param name the file's path, {@code [vdso]} and the like, or the empty string
   */
  public record Mapping(
      long start,
      long end,
      boolean executable,
      boolean shared,
      long offset,
      long device,
      long inode,
      String name) {}

  private ProcessMaps() {}

  /**
   * Reads them, in ascending order of addresses.
   *
   * @throws LinuxException ESRCH if the process has ended, EACCES without the right to trace it
   */
  public static List<Mapping> of(int pid) throws IOException {
    return of(pid, false);
  }

  /** As {@link #of}, those only whose writes reach a file, or other processes: a few of many. */
  public static List<Mapping> sharedOf(int pid) throws IOException {
    return of(pid, true);
  }

  private static List<Mapping> of(int pid, boolean sharedOnly) throws IOException {
    List<Mapping> mappings = new ArrayList<>();
    byte[] text;
    try {
      text = Files.readAllBytes(Path.of("/proc/" + pid + "/maps"));
    } catch (NoSuchFileException e) {
      throw new LinuxException(Errno.ESRCH, "read /proc/" + pid + "/maps");
    } catch (java.nio.file.AccessDeniedException e) {
      throw new LinuxException(Errno.EACCES, "read /proc/" + pid + "/maps");
    } catch (IOException e) {
      // Opened while it lived: the kernel refuses to read on when its memory is gone.
      throw new LinuxException(Errno.ESRCH, "read /proc/" + pid + "/maps");
    }
    for (String line : new String(text, StandardCharsets.ISO_8859_1).lines().toList()) {
      if (!sharedOnly || line.startsWith("s ", line.indexOf(' ') + 4)) {
        mappings.add(parse(line));
      }
    }
    return mappings;
  }

  /** For example {@code 7f00-7f10 rw-s 00001000 00:19 4711 /dev/shm/ram}. */
  static Mapping parse(String line) {
    String[] words = line.split(" +", 6);
    String[] range = words[0].split("-", 2);
    String[] device = words[3].split(":", 2);
    return new Mapping(
        Long.parseUnsignedLong(range[0], 16),
        Long.parseUnsignedLong(range[1], 16),
        words[1].charAt(2) == 'x',
        words[1].charAt(3) == 's',
        Long.parseUnsignedLong(words[2], 16),
        (Long.parseLong(device[0], 16) << 32) | Long.parseLong(device[1], 16),
        Long.parseLong(words[4]),
        words.length > 5 ? words[5] : "");
  }
}
