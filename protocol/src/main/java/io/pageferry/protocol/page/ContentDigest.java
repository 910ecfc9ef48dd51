package io.pageferry.protocol.page;

import io.pageferry.protocol.message.Recalled;
import java.nio.ByteBuffer;

/**
 * What a page is known by without being sent: the first 128 bits of SHA-256 over a salt and the
 * page. The guest chooses its pages, so a hash that can be steered is not enough; and it never
 * learns the salt, which is drawn for each migration, so it cannot prepare two pages that agree.
 *
 * <p>Used by one thread at a time.
 */
public final class ContentDigest {
  private final ContentHash hash;

  /**
   * @param salt not copied: nobody may change it
   */
  public ContentDigest(byte[] salt) {
    hash = new ContentHash(salt);
  }

  /**
   * The digest of one page.
   *
   * @param memory the page is its 4096 bytes from {@code at}; position and limit do not matter
   * @return its first {@link Recalled#DIGEST_BYTES} bytes are the digest, never all zero; valid
   *     until the next call
   */
  public byte[] of(ByteBuffer memory, int at) {
    byte[] whole = hash.of(memory, at);
    for (int i = 0; i < Recalled.DIGEST_BYTES; i++) {
      if (whole[i] != 0) {
        return whole;
      }
    }
    whole[0] = 1; // all zero says that there is no page
    return whole;
  }
}
