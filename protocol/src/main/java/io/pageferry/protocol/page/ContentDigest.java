package io.pageferry.protocol.page;

import io.pageferry.protocol.message.Recalled;
import java.nio.ByteBuffer;
import java.security.DigestException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * What a page is known by without being sent: the first 128 bits of SHA-256 over a salt and the
 * page. The guest chooses its pages, so a hash that can be steered is not enough; and it never
 * learns the salt, which is drawn for each migration, so it cannot prepare two pages that agree.
 *
 * <p>Used by one thread at a time. A page lies on the heap, in this object's 4 KiB, while it is
 * hashed.
 */
public final class ContentDigest {
  private static final int PAGE = PageBatch.PAGE_BYTES;
  private static final int SHA_BYTES = 32;

  private final byte[] salt;
  private final MessageDigest sha;
  private final byte[] whole = new byte[SHA_BYTES];
  private final byte[] page = new byte[PAGE];

  /**
   * @param salt not copied: nobody may change it
   */
  public ContentDigest(byte[] salt) {
    this.salt = salt;
    try {
      sha = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  /**
   * The digest of one page.
   *
   * @param memory the page is its 4096 bytes from {@code at}; position and limit do not matter
   * @return its first {@link Recalled#DIGEST_BYTES} bytes are the digest, never all zero; valid
   *     until the next call
   */
  public byte[] of(ByteBuffer memory, int at) {
    memory.get(at, page);
    sha.update(salt);
    sha.update(page);
    try {
      sha.digest(whole, 0, SHA_BYTES);
    } catch (DigestException e) {
      throw new IllegalStateException("there is room for it", e);
    }
    for (int i = 0; i < Recalled.DIGEST_BYTES; i++) {
      if (whole[i] != 0) {
        return whole;
      }
    }
    whole[0] = 1; // all zero says that there is no page
    return whole;
  }
}
