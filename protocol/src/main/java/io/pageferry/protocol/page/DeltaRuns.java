package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.frame.ProtocolException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The difference of two pages as runs of changed bytes, in the manner of XBZRLE. Each run is
 *
 * <pre>
 *   24 bits   bits 0 to 11: unchanged bytes in front of it; bits 12 to 23: its length less one
 *   its bytes, as they are now
 * </pre>
 *
 * and behind the last one nothing has changed. Between two runs lie eight unchanged bytes or more,
 * because pages are compared eight bytes at a time; the ends of a run are exact to the byte. A run
 * costs three bytes besides its own, so that a page in which every other word changed is still
 * shorter this way.
 *
 * <p>Stateless; any thread; allocates nothing.
 */
final class DeltaRuns {
  static final int RUN_HEADER_BYTES = 3;

  /** What may be written behind the end of the difference. */
  static final int SLACK_BYTES = Long.BYTES;

  private static final int PAGE = PageBatch.PAGE_BYTES;
  private static final int NUMBER_BITS = 12;
  private static final int NUMBER_MASK = (1 << NUMBER_BITS) - 1;
  private static final int STEP = 8 * Long.BYTES;
  private static final ValueLayout.OfLong WORD =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort HALF =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private DeltaRuns() {}

  /**
   * Writes the difference.
   *
   * @param base 4096 bytes from {@code baseAt}: the page as the reader has it
   * @param page 4096 bytes from {@code pageAt}: the page as it is to be
   * @param out receives the runs from {@code outAt} on; must have room for {@code limit} + {@link
   *     #RUN_HEADER_BYTES} + {@link #SLACK_BYTES} bytes there
   * @param limit the most bytes that are worth while
   * @return how many bytes it takes, 0 for equal pages; −1 if they are more than {@code limit}
   */
  static int write(
      MemorySegment base,
      long baseAt,
      MemorySegment page,
      long pageAt,
      MemorySegment out,
      long outAt,
      int limit) {
    long end = outAt + limit;
    long to = outAt;
    int done = 0;
    for (int at = next(base, baseAt, page, pageAt, 0);
        at < PAGE;
        at = next(base, baseAt, page, pageAt, at)) {
      long word = page.get(WORD, pageAt + at);
      long change = word ^ base.get(WORD, baseAt + at);
      int same = Long.numberOfTrailingZeros(change) >>> 3;
      int begin = at + same;
      long header = to;
      to += RUN_HEADER_BYTES;
      // The word without the bytes in front of the run; what is behind it is overwritten.
      out.set(WORD, to, word >>> (same << 3));
      to += Long.BYTES - same;
      long last = change;
      for (at += Long.BYTES; at < PAGE; at += Long.BYTES) {
        word = page.get(WORD, pageAt + at);
        change = word ^ base.get(WORD, baseAt + at);
        if (change == 0) {
          break;
        }
        if (to > end) {
          return -1;
        }
        last = change;
        out.set(WORD, to, word);
        to += Long.BYTES;
      }
      int unchanged = Long.numberOfLeadingZeros(last) >>> 3;
      to -= unchanged;
      int length = at - unchanged - begin;
      int number = (begin - done) | ((length - 1) << NUMBER_BITS);
      out.set(HALF, header, (short) number);
      out.set(ValueLayout.JAVA_BYTE, header + Short.BYTES, (byte) (number >>> Short.SIZE));
      if (to > end) {
        return -1;
      }
      done = begin + length;
    }
    return (int) (to - outAt);
  }

  /** The next word from {@code from} on in which the pages differ; 4096 if there is none. */
  private static int next(
      MemorySegment base, long baseAt, MemorySegment page, long pageAt, int from) {
    int at = from;
    for (; at <= PAGE - STEP; at += STEP) {
      long a = pageAt + at;
      long b = baseAt + at;
      // One branch for eight words: most of a page is unchanged.
      if (((page.get(WORD, a) ^ base.get(WORD, b))
              | (page.get(WORD, a + 8) ^ base.get(WORD, b + 8))
              | (page.get(WORD, a + 16) ^ base.get(WORD, b + 16))
              | (page.get(WORD, a + 24) ^ base.get(WORD, b + 24))
              | (page.get(WORD, a + 32) ^ base.get(WORD, b + 32))
              | (page.get(WORD, a + 40) ^ base.get(WORD, b + 40))
              | (page.get(WORD, a + 48) ^ base.get(WORD, b + 48))
              | (page.get(WORD, a + 56) ^ base.get(WORD, b + 56)))
          != 0) {
        break;
      }
    }
    while (at < PAGE && page.get(WORD, pageAt + at) == base.get(WORD, baseAt + at)) {
      at += Long.BYTES;
    }
    return at;
  }

  /**
   * Applies a difference.
   *
   * @param runs from {@code at}, {@code length} bytes; the peer's
   * @param page 4096 bytes from {@code pageAt} in direct memory: the base, becomes the page. Half
   *     done if this fails
   * @throws ProtocolException if a run does not fit the page or the difference
   */
  static void apply(ByteBuf runs, int at, int length, ByteBuf page, int pageAt)
      throws ProtocolException {
    int from = at;
    int end = at + length;
    int done = 0;
    while (from < end) {
      if (end - from < RUN_HEADER_BYTES) {
        throw ProtocolException.violation("a difference ends within the header of a run");
      }
      int number = runs.getUnsignedMediumLE(from);
      from += RUN_HEADER_BYTES;
      int unchanged = number & NUMBER_MASK;
      int changed = (number >>> NUMBER_BITS) + 1;
      if (unchanged == 0 && done > 0) {
        throw ProtocolException.violation("two runs of a difference touch each other");
      }
      if (unchanged + changed > PAGE - done) {
        throw ProtocolException.violation(
            "a run of a difference ends at byte %d, behind its page"
                .formatted(done + unchanged + changed));
      }
      if (changed > end - from) {
        throw ProtocolException.violation("a difference ends within a run");
      }
      done += unchanged;
      page.setBytes(pageAt + done, runs, from, changed);
      done += changed;
      from += changed;
    }
  }
}
