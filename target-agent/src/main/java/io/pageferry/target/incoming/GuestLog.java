package io.pageferry.target.incoming;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** What a launched guest wrote before it ended. */
final class GuestLog {
  private static final int TAIL = 4096;
  private static final int SHOWN = 200;

  /** QEMU says in one line what it minds and in the next that it gives up. */
  private static final int LINES = 2;

  /** Control characters, those above 127 as well. */
  private static final Pattern CONTROL = Pattern.compile("\\p{Cc}");

  private GuestLog() {}

  /**
   * The last lines after a position, for the end of a sentence ({@code : "…"}); empty when there
   * are none.
   */
  static String lastLines(@Nullable Path log, long from) {
    if (log == null) {
      return "";
    }
    try (RandomAccessFile file = new RandomAccessFile(log.toFile(), "r")) {
      long start = Math.max(from, file.length() - TAIL);
      byte[] bytes = new byte[(int) Math.max(0, file.length() - start)];
      file.seek(start);
      file.readFully(bytes);
      List<String> lines =
          new String(bytes, StandardCharsets.UTF_8)
              .lines()
              .map(String::strip)
              .filter(line -> !line.isEmpty())
              .toList();
      if (lines.isEmpty()) {
        return "";
      }
      // A guest's console may be in there, and this ends up on terminals.
      String last =
          CONTROL
              .matcher(
                  String.join(
                      " / ", lines.subList(Math.max(0, lines.size() - LINES), lines.size())))
              .replaceAll(" ");
      return ": \"" + (last.length() > SHOWN ? last.substring(0, SHOWN) : last) + "\"";
    } catch (IOException e) {
      return "";
    }
  }
}
