package io.pageferry.guest.image;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * The right to change how many huge pages this host has: test classes run in several processes, and
 * all would count from the same number.
 */
public final class HugePagePool implements AutoCloseable {
  private static final Path LOCK =
      Path.of(System.getProperty("java.io.tmpdir", "/tmp"), "pageferry-huge-pages.lock");

  private final FileChannel lock;

  private HugePagePool(FileChannel lock) {
    this.lock = lock;
  }

  /** Waits for it. */
  public static HugePagePool take() throws IOException {
    FileChannel lock = FileChannel.open(LOCK, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    lock.lock();
    return new HugePagePool(lock);
  }

  @Override
  public void close() throws IOException {
    lock.close();
  }
}
