package io.pageferry.target.content;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A file of pages, known by its path and by what the system says it is: another one that has the
 * path later is not it. Open only while it is looked into, because an open file keeps its memory
 * when its guest is gone. Any thread.
 */
final class PageFile {
  private final Path path;
  private final @Nullable Object key;
  private volatile boolean arriving;

  private PageFile(Path path, @Nullable Object key, boolean arriving) {
    this.path = path;
    this.key = key;
    this.arriving = arriving;
  }

  /**
   * The file that has this path now.
   *
   * @param arriving whether its pages are still coming
   */
  static PageFile at(Path path, boolean arriving) throws IOException {
    return new PageFile(path, key(path), arriving);
  }

  private static @Nullable Object key(Path path) throws IOException {
    return Files.readAttributes(path, BasicFileAttributes.class).fileKey();
  }

  Path path() {
    return path;
  }

  /** Whether it still has its path. */
  boolean isThere() {
    try {
      return Objects.equals(key, key(path));
    } catch (IOException e) {
      return false;
    }
  }

  /** Whether a page of it that reads as zeros may still be to come. */
  boolean arriving() {
    return arriving;
  }

  /** All of it has come. */
  void arrived() {
    arriving = false;
  }

  /**
   * Opens it for reading.
   *
   * @throws IOException if it is not there any more
   */
  FileChannel open() throws IOException {
    FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
    if (!isThere()) {
      channel.close();
      throw new IOException(path + " is another file by now");
    }
    return channel;
  }
}
