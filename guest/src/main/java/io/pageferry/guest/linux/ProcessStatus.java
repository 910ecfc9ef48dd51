package io.pageferry.guest.linux;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/**
 * What the kernel says about a process or one of its threads, from {@code /proc/PID/status}.
 *
 * @param name of the program, at most 15 bytes
 * @param state {@code R} running, {@code S} asleep, {@code D} asleep and not to be woken, {@code T}
 *     stopped, {@code t} stopped by whoever traces it, {@code Z} ended, {@code X} gone
 * @param parent the number of the process that started it
 * @param tracer the number of the process that traces it, or 0
 * @param user the number of its user
 * @param filtered 0 if its system calls are not filtered, 1 if next to none is allowed, 2 if a
 *     filter decides
 * @param capabilities those in effect, one bit each
 */
public record ProcessStatus(
    String name, char state, int parent, int tracer, int user, int filtered, long capabilities) {
  private static final int CAP_SYS_PTRACE = 19;

  /** Whether it may trace processes of others. */
  public boolean mayTraceOthers() {
    return ((capabilities >> CAP_SYS_PTRACE) & 1) != 0;
  }

  /** Of this process. */
  public static ProcessStatus ofSelf() throws IOException {
    return at(Path.of("/proc/self/status"));
  }

  /**
   * Of a process, by its first thread.
   *
   * @throws LinuxException ESRCH if it is gone
   */
  public static ProcessStatus of(int pid) throws IOException {
    return at(Path.of("/proc/" + pid + "/status"));
  }

  /**
   * Of one thread of a process.
   *
   * @throws LinuxException ESRCH if it is gone
   */
  public static ProcessStatus ofThread(int pid, int thread) throws IOException {
    return at(Path.of("/proc/" + pid + "/task/" + thread + "/status"));
  }

  private static ProcessStatus at(Path file) throws IOException {
    byte[] text;
    try (InputStream in = Files.newInputStream(file)) {
      text = in.readAllBytes();
    } catch (NoSuchFileException | FileNotFoundException e) {
      throw new LinuxException(Errno.ESRCH, "read " + file);
    } catch (IOException e) {
      if (Files.exists(file)) {
        throw e;
      }
      // It ended between the opening and the reading.
      throw new LinuxException(Errno.ESRCH, "read " + file);
    }
    return parse(new String(text, StandardCharsets.ISO_8859_1));
  }

  static ProcessStatus parse(String text) {
    Map<String, String> fields = new HashMap<>();
    for (String line : text.lines().toList()) {
      int colon = line.indexOf(':');
      if (colon > 0) {
        fields.put(line.substring(0, colon), line.substring(colon + 1).strip());
      }
    }
    return new ProcessStatus(
        fields.getOrDefault("Name", "?"),
        fields.getOrDefault("State", "?").charAt(0),
        number(fields, "PPid"),
        number(fields, "TracerPid"),
        number(fields, "Uid"),
        number(fields, "Seccomp"),
        Long.parseUnsignedLong(fields.getOrDefault("CapEff", "0"), 16));
  }

  private static int number(Map<String, String> fields, String name) {
    return Integer.parseInt(fields.getOrDefault(name, "0").split("\\s", 2)[0]);
  }
}
