package io.pageferry.protocol.page;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.security.DigestException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * What a page is referred to by: SHA-256 of its bytes, whole and without a salt. A guest chooses
 * what its pages hold and others rely on the content that a digest stands for, so two pages that
 * agree must not be to be had for any effort (2^128 attempts here); and the pages of many guests
 * and of files are looked up by one digest, so it cannot be one of each migration.
 *
 * <p>Used by one thread at a time. A page lies on the heap, in this object's 4 KiB, while it is
 * hashed.
 */
public final class ContentHash {
  /** Of each page. */
  public static final int BYTES = 32;

  private static final int PAGE = PageBatch.PAGE_BYTES;

  private final MessageDigest sha = sha256();
  private final byte[] page = new byte[PAGE];
  private final byte[] digest = new byte[BYTES];

  /** What this and {@link PartDigests} are made with. */
  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  /**
   * What a digest is looked up by.
   *
   * @param digest of {@value #BYTES} bytes
   * @return its first 64 bits, little-endian
   */
  public static long key(byte[] digest) {
    return ByteBuffer.wrap(digest).order(ByteOrder.LITTLE_ENDIAN).getLong();
  }

  /**
   * The digest of one page.
   *
   * @param memory the page is its 4096 bytes from {@code at}; position and limit do not matter
   * @return {@value #BYTES} bytes, valid until the next call
   */
  public byte[] of(ByteBuffer memory, int at) {
    memory.get(at, page);
    sha.update(page);
    try {
      sha.digest(digest, 0, BYTES);
    } catch (DigestException e) {
      throw new IllegalStateException("there is room for it", e);
    }
    return digest;
  }
}
