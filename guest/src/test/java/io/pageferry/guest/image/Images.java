package io.pageferry.guest.image;

import io.pageferry.guest.description.DescriptionException;
import io.pageferry.guest.description.GuestDescription;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Guests and images for tests. */
public final class Images {
  /** A tmpfs on every Linux. */
  public static final Path TMPFS = Path.of("/dev/shm");

  private Images() {}

  /** A description of a guest with these files as its memory; a size of 0 is not written down. */
  public static GuestDescription describe(Path folder, List<Path> files, long bytes)
      throws IOException {
    StringBuilder yaml = new StringBuilder("name: test\nmemory:\n");
    for (Path file : files) {
      yaml.append("  - name: ram").append(files.indexOf(file)).append("\n");
      yaml.append("    path: ").append(file).append("\n");
      if (bytes > 0) {
        yaml.append("    size: ").append(bytes).append("\n");
      }
    }
    yaml.append("control: { qmp: /run/none.sock }\n");
    Path description = Files.createTempFile(folder, "guest", ".yaml");
    Files.writeString(description, yaml);
    try {
      return GuestDescription.load(description);
    } catch (DescriptionException e) {
      throw new IOException(e.getMessage() + "\n" + yaml, e);
    }
  }

  public static Path sparse(Path file, long bytes) throws IOException {
    try (RandomAccessFile made = new RandomAccessFile(file.toFile(), "rw")) {
      made.setLength(bytes);
    }
    return file;
  }

  /** A new folder on a tmpfs; the caller deletes it. */
  public static Path tmpfsFolder() throws IOException {
    return Files.createTempDirectory(TMPFS, "pageferry-test-");
  }

  public static void deleteFolder(Path folder) throws IOException {
    try (var files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.deleteIfExists(file);
      }
    }
    Files.delete(folder);
  }
}
