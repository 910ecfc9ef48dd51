package io.pageferry.guest.linux;

/**
 * What the kernel says about a file system.
 *
 * @param magic its kind as {@code statfs} gives it
 * @param blockBytes its block size; on hugetlbfs the size of a huge page
 * @param totalBytes its size; 0 where it has no limit of its own
 * @param availableBytes what an ordinary user may still take
 */
public record FileSystemStatus(long magic, int blockBytes, long totalBytes, long availableBytes) {
  /** Memory with a file system's names: also what a memfd is on. */
  public boolean isTmpfs() {
    return magic == Abi.TMPFS_MAGIC;
  }

  public boolean isHugetlbfs() {
    return magic == Abi.HUGETLBFS_MAGIC;
  }

  /**
   * Whether {@code stat} and {@code /proc/PID/maps} name the same device for a file on it; file
   * systems that stack or span devices give one number here and another there.
   */
  public boolean hasOneDeviceNumber() {
    return isTmpfs()
        || isHugetlbfs()
        || magic == Abi.EXT4_SUPER_MAGIC
        || magic == Abi.XFS_SUPER_MAGIC;
  }
}
