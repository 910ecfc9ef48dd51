package io.pageferry.protocol.message;

/**
 * One region of the guest's memory, as the source has it.
 *
 * @param name up to 64 letters, digits, points, hyphens and underscores
 * @param bytes a multiple of 4096, up to 2^46
 */
public record RegionOffer(String name, long bytes) {
  public static final int MAX_NAME_BYTES = 64;
  public static final long MAX_BYTES = 1L << 46;
  private static final int PAGE_BYTES = 4096;

  /** The pages of the largest region. */
  static final long MAX_PAGES = MAX_BYTES / PAGE_BYTES;

  public RegionOffer {
    Bounds.checkName("region name", name, MAX_NAME_BYTES);
    Bounds.check("region size", bytes, PAGE_BYTES, MAX_BYTES);
    if (bytes % PAGE_BYTES != 0) {
      throw new IllegalArgumentException(
          "region size " + bytes + " is not a multiple of " + PAGE_BYTES);
    }
  }

  /** Its length in pages of 4096 bytes. */
  public long pages() {
    return bytes / PAGE_BYTES;
  }
}
