package io.pageferry.agent.report;

import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** Reports as JSON files. */
public final class ReportFile {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final ObjectWriter PRETTY =
      JSON.writer(new DefaultPrettyPrinter().withObjectIndenter(new DefaultIndenter("  ", "\n")));

  private ReportFile() {}

  /** The report as indented JSON with a line feed at the end. */
  public static String toJson(MigrationReport report) throws IOException {
    return PRETTY.writeValueAsString(report) + "\n";
  }

  /** Writes the file whole or not at all: a reader never sees half a report. */
  public static void write(Path file, MigrationReport report) throws IOException {
    writeJson(file, toJson(report));
  }

  /** Whether a report can have this place, which is known before there is one. */
  public static boolean mayBe(Path file) {
    Path folder = file.toAbsolutePath().getParent();
    return folder != null && Files.isDirectory(folder) && !Files.isDirectory(file);
  }

  /**
   * The same for any JSON that is done already, for example a benchmark's. What is no file of its
   * own, as {@code /dev/stdout}, is written to and not replaced.
   */
  public static void writeJson(Path file, String json) throws IOException {
    Path target = file.toAbsolutePath();
    if (Files.exists(target) && !Files.isRegularFile(target, LinkOption.NOFOLLOW_LINKS)) {
      Files.writeString(target, json);
      return;
    }
    Path draft =
        target.resolveSibling(
            "." + target.getFileName() + "." + ProcessHandle.current().pid() + ".tmp");
    try {
      Files.writeString(draft, json);
      Files.move(
          draft, target, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(draft);
    }
  }

  public static MigrationReport read(Path file) throws IOException {
    return JSON.readValue(file.toFile(), MigrationReport.class);
  }
}
