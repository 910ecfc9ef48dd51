package io.pageferry.agent.cli;

import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.guest.linux.AvailableMemory;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** {@code --keep-copies-for} and {@code --copy-quota}, of every command that may leave a copy. */
public final class CopyOptions {
  /** The share of the host's memory. */
  private static final int SHARE = 4;

  @Option(
      names = "--keep-copies-for",
      paramLabel = "TIME",
      defaultValue = "1h",
      converter = TimeSpanConverter.class,
      description =
          "How long a copy is kept here of a guest that left, or whose arrival was cut off: if it"
              + " comes from there again, only what differs is sent (default: ${DEFAULT-VALUE}).")
  private Duration keepFor = Duration.ofHours(1);

  @Option(
      names = "--copy-quota",
      paramLabel = "SIZE",
      converter = SizeConverter.class,
      description =
          "What all copies on this host may take, 0 for none; the oldest go first (default: a"
              + " quarter of the host's memory).")
  private @Nullable Long quota;

  public CopyLimits limits() {
    return new CopyLimits(keepFor, quota == null ? AvailableMemory.inAll() / SHARE : quota);
  }
}
