package io.pageferry.integration.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Keeps a virtual machine from giving free memory back to its host while something is measured.
 * Linux reports free blocks to the host within a second or two (free page reporting, {@code
 * Documentation/mm/free_page_reporting.rst}), and touching them again costs several times as much
 * as copying a page: memory that a run has warmed would be cold again for the next.
 *
 * <p>One system-wide setting, put back on close; where it does not exist or may not be written,
 * nothing is changed.
 */
final class FreePageReporting implements AutoCloseable {
  private static final Path ORDER =
      Path.of("/sys/module/page_reporting/parameters/page_reporting_order");

  /** Larger than any block that the kernel's allocator knows. */
  private static final String NEVER = "11\n";

  private final @Nullable String before;

  private FreePageReporting(@Nullable String before) {
    this.before = before;
  }

  static FreePageReporting suspended() {
    try {
      String before = Files.readString(ORDER);
      if (before.equals(NEVER)) {
        return new FreePageReporting(null);
      }
      Files.writeString(ORDER, NEVER);
      FreePageReporting suspended = new FreePageReporting(before);
      Runtime.getRuntime().addShutdownHook(new Thread(suspended::close, "reporting-resumes"));
      return suspended;
    } catch (IOException e) {
      return new FreePageReporting(null);
    }
  }

  @Override
  public void close() {
    if (before == null) {
      return;
    }
    try {
      Files.writeString(ORDER, before);
    } catch (IOException e) {
      System.err.println("cannot set " + ORDER + " back to " + before.strip());
    }
  }
}
