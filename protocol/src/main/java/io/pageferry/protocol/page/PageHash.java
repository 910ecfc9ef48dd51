package io.pageferry.protocol.page;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The 128-bit hash of one page of 4096 bytes that the running digest is made of; PROTOCOL.md,
 * section 10, defines it to the bit.
 *
 * <p>Four lanes take sixteen bytes at a time each and fold the 128-bit product of the two words, as
 * wyhash does. It finds errors, not forgeries. It is our own because the agents are young processes
 * that hash at gigabytes a second from their first moment on: this is one short loop that the
 * virtual machine compiles at once, where the large methods of the hash libraries are interpreted
 * for most of a first round (measured: XXH3 at 10 GB/s once warm and far below 1 GB/s before, this
 * at 27 GB/s from the first quarter of a second on).
 *
 * <p>Stateless; any thread. The two halves of the result come from two calls on the four lanes, so
 * {@link #into} leaves them in an array of its caller and nothing is allocated for a page.
 */
final class PageHash {
  static final int HIGH = 0;
  static final int LOW = 1;

  // The first eight values of SplitMix64 from state 0: odd enough, and nobody's choice.
  private static final long K0 = 0xe220a8397b1dcdafL;
  private static final long K1 = 0x6e789e6aa1b965f4L;
  private static final long K2 = 0x06c45d188009454fL;
  private static final long K3 = 0xf88bb8a8724c81ecL;
  private static final long K4 = 0x1b39896a51a8749bL;
  private static final long K5 = 0x53cb9f0c747ea2eaL;
  private static final long K6 = 0x2c829abe1f4532e1L;
  private static final long K7 = 0xc584133ac916ab3cL;

  private static final ValueLayout.OfLong WORD =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private PageHash() {}

  /**
   * Hashes the 4096 bytes from {@code offset}.
   *
   * @param hash receives {@link #HIGH} and {@link #LOW}
   */
  static void into(long[] hash, MemorySegment segment, long offset) {
    long a = K0;
    long b = K1;
    long c = K2;
    long d = K3;
    for (long at = offset; at < offset + PageBatch.PAGE_BYTES; at += 64) {
      a = fold(segment.get(WORD, at) ^ a, segment.get(WORD, at + 8) ^ K4);
      b = fold(segment.get(WORD, at + 16) ^ b, segment.get(WORD, at + 24) ^ K5);
      c = fold(segment.get(WORD, at + 32) ^ c, segment.get(WORD, at + 40) ^ K6);
      d = fold(segment.get(WORD, at + 48) ^ d, segment.get(WORD, at + 56) ^ K7);
    }
    hash[HIGH] = fold(a ^ K4, b ^ K5) ^ fold(c ^ K6, d ^ K7);
    hash[LOW] = fold(a ^ K6, c ^ K7) ^ fold(b ^ K4, d ^ K5);
  }

  /** Both halves of the product, laid over each other. */
  private static long fold(long x, long y) {
    return Math.unsignedMultiplyHigh(x, y) ^ x * y;
  }
}
