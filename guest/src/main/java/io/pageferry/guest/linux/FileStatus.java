package io.pageferry.guest.linux;

/**
 * What the kernel says about an open file.
 *
 * @param device the file system's device number, major in the upper and minor in the lower 32 bits
 * @param inode the file's number on it
 * @param bytes its size
 * @param blockBytes the file system's preferred unit; on hugetlbfs the size of a huge page
 * @param allocatedBytes what it takes on the file system, holes not counted
 * @param kind what it is
 */
public record FileStatus(
    long device, long inode, long bytes, int blockBytes, long allocatedBytes, Kind kind) {

  public enum Kind {
    REGULAR,
    FOLDER,
    OTHER
  }
}
