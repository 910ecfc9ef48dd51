package io.pageferry.guest.description;

import java.nio.file.Path;
import java.util.OptionalLong;

/**
 * One memory region of a guest, which is one file.
 *
 * @param name the region's name, unique in its guest; both hosts must use the same
 * @param path absolute
 * @param bytes the region's size, a positive multiple of 4096; empty: as large as the file is
 *     (source only: a target creates the file and takes the size from the source's offer)
 */
public record MemoryDescription(String name, Path path, OptionalLong bytes) {}
