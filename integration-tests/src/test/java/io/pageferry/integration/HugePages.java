package io.pageferry.integration;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Huge pages of this host, reserved for the time of a test. */
final class HugePages implements AutoCloseable {
  private static final Path FOLDER = Path.of("/sys/kernel/mm/hugepages/hugepages-2048kB");
  private static final Path COUNT = FOLDER.resolve("nr_hugepages");
  private static final Path FREE = FOLDER.resolve("free_hugepages");
  private static final Path COMPACTION = Path.of("/proc/sys/vm/compact_memory");

  /** Test classes run in two processes, and both would count from the same number. */
  private static final Path LOCK =
      Path.of(System.getProperty("java.io.tmpdir", "/tmp"), "pageferry-huge-pages.lock");

  private final FileChannel lock;
  private final long before;

  /** Reserves so many pages of 2 MiB; ends the test without a result on a host that has none. */
  HugePages(int wanted) throws IOException {
    assumeTrue(Files.isWritable(COUNT), "huge pages cannot be reserved here");
    lock = FileChannel.open(LOCK, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    lock.lock();
    before = number(COUNT);
    try {
      Files.writeString(COUNT, Long.toString(before + wanted));
      if (number(FREE) < wanted && Files.isWritable(COMPACTION)) {
        // Memory that has been used for a while is in pieces.
        Files.writeString(COMPACTION, "1");
        Files.writeString(COUNT, Long.toString(before + wanted));
      }
    } catch (IOException e) {
      lock.close();
      assumeTrue(false, "huge pages cannot be reserved here: " + e.getMessage());
    }
    if (number(FREE) < wanted) {
      close();
      assumeTrue(false, "this host has no room for huge pages");
    }
  }

  private static long number(Path file) throws IOException {
    return Long.parseLong(Files.readString(file).trim());
  }

  @Override
  public void close() throws IOException {
    try (lock) {
      Files.writeString(COUNT, Long.toString(before));
    }
  }
}
