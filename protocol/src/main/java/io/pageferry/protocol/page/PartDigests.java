package io.pageferry.protocol.page;

import io.pageferry.protocol.message.Recalled;
import java.nio.ByteBuffer;
import java.security.DigestException;
import java.security.MessageDigest;

/**
 * What the parts of a page are known by without being sent: of each the first 64 bits of SHA-256
 * over a salt and the part. The guest chooses its pages, so a hash that can be steered is not
 * enough; and it never learns the salt, which is drawn for each migration, so it cannot prepare two
 * parts that agree. That two agree by chance, one in 2^64 for each that is compared, shows where
 * the digests of the images are compared.
 *
 * <p>Used by one thread at a time.
 */
public final class PartDigests {
  private static final int ALL = Recalled.DIGEST_BYTES;
  private static final int ONE = Recalled.PART_DIGEST_BYTES;

  private final byte[] salt;
  private final MessageDigest sha = ContentHash.sha256();
  private final byte[] page = new byte[PageBatch.PAGE_BYTES];

  /** The digests of all parts, and room for the whole of the last one. */
  private final byte[] digests = new byte[ALL - ONE + ContentHash.BYTES];

  /**
   * @param salt not copied: nobody may change it
   */
  public PartDigests(byte[] salt) {
    this.salt = salt;
  }

  /**
   * The digests of the parts of one page.
   *
   * @param memory the page is its 4096 bytes from {@code at}; position and limit do not matter
   * @return its first {@link Recalled#DIGEST_BYTES} bytes are the digests, none of them all zero;
   *     valid until the next call
   */
  public byte[] of(ByteBuffer memory, int at) {
    memory.get(at, page);
    try {
      for (int part = 0; part < PageParts.PARTS; part++) {
        sha.update(salt);
        sha.update(page, part * PageParts.PART, PageParts.PART);
        // Each one is cut short by the next.
        sha.digest(digests, part * ONE, ContentHash.BYTES);
      }
    } catch (DigestException e) {
      throw new IllegalStateException("there is room for it", e);
    }
    for (int part = 0; part < PageParts.PARTS; part++) {
      if (isZero(part * ONE)) {
        digests[part * ONE] = 1; // all zero says that there is no such part
      }
    }
    return digests;
  }

  private boolean isZero(int at) {
    for (int i = at; i < at + ONE; i++) {
      if (digests[i] != 0) {
        return false;
      }
    }
    return true;
  }
}
