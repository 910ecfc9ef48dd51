package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.Arrays;

/**
 * Digests of pages that the target still has from an earlier time, part by part, for pages that lie
 * side by side. A series of these messages ascends; what it leaves out the target does not have.
 *
 * @param region number of the region
 * @param last whether the series, for the whole image, is complete with this message
 * @param firstPage number of the first page
 * @param digests {@value #DIGEST_BYTES} bytes for each page, up to {@value #MAX_PAGES} pages; all
 *     zero for a page that the target does not have. None only in the last message. Not copied:
 *     nobody may change them
 */
@SuppressWarnings("ArrayRecordComponent") // equals, hashCode and toString are written out below
public record Recalled(int region, boolean last, long firstPage, byte[] digests)
    implements Message {
  /** Of each part of a page; all zero for one that the target does not have. */
  public static final int PART_DIGEST_BYTES = 8;

  /** Of each page, which has eight parts of 512 bytes. */
  public static final int DIGEST_BYTES = 8 * PART_DIGEST_BYTES;

  /** As many as fit the shortest payload that a peer may insist on ({@link Limits}). */
  public static final int MAX_PAGES = 1023;

  public Recalled {
    Bounds.check("region", region, 0, Offer.MAX_REGIONS - 1L);
    if (digests.length % DIGEST_BYTES != 0) {
      throw new IllegalArgumentException(digests.length + " bytes are not whole digests");
    }
    long pages = digests.length / DIGEST_BYTES;
    Bounds.check("number of digests", pages, last ? 0 : 1, MAX_PAGES);
    Bounds.check("first page", firstPage, 0, RegionOffer.MAX_PAGES - pages);
  }

  /** How many pages it has something to say of. */
  public int pages() {
    return digests.length / DIGEST_BYTES;
  }

  /** The page behind the last one. */
  public long endPage() {
    return firstPage + pages();
  }

  @Override
  public FrameType type() {
    return FrameType.RECALLED;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Recalled that
        && region == that.region
        && last == that.last
        && firstPage == that.firstPage
        && Arrays.equals(digests, that.digests);
  }

  @Override
  public int hashCode() {
    return 31 * (31 * region + Long.hashCode(firstPage)) + Arrays.hashCode(digests);
  }

  @Override
  public String toString() {
    return "Recalled[region="
        + region
        + ", last="
        + last
        + ", firstPage="
        + firstPage
        + ", "
        + pages()
        + " pages]";
  }
}
