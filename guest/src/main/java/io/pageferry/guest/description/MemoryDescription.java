package io.pageferry.guest.description;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * One memory region of a guest.
 *
 * @param name the region's name, unique in its guest; both hosts must use the same
 * @param file absolute; empty for memory that is in no file but in the guest's process only, as
 *     Firecracker's. Such a guest hands its memory over by itself and can only be received, by
 *     post-copy. All regions of a guest have a file, or none
 * @param bytes the region's size, a positive multiple of 4096; empty: as large as the file is
 *     (source only: a target creates the file and takes the size from the source's offer). Never
 *     empty without a file
 */
public record MemoryDescription(String name, Optional<Path> file, OptionalLong bytes) {
  public MemoryDescription {
    if (file.isEmpty() && bytes.isEmpty()) {
      throw new IllegalArgumentException("memory without a file has a size");
    }
  }

  public MemoryDescription(String name, Path path, OptionalLong bytes) {
    this(name, Optional.of(path), bytes);
  }

  /** Whether this memory is in no file. */
  public boolean anonymous() {
    return file.isEmpty();
  }

  /**
   * The file.
   *
   * @throws IllegalStateException if there is none
   */
  public Path path() {
    return file.orElseThrow(
        () -> new IllegalStateException("memory region " + name + " is in no file"));
  }
}
