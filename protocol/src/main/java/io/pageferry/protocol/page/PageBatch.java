package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.message.Limits;

/**
 * The payload of a PAGES frame. Numbers are little-endian.
 *
 * <pre>
 *  +---------------------------------------------------------------+  0
 *  |                             round                             |
 *  +-------------------------------+-------------------------------+  4
 *  |            region             |           run count           |
 *  +-------------------------------+-------------------------------+  8
 *  then as often as the run count says:
 *  +---------------------------------------------------------------+  0
 *  |                          first page                           |
 *  |                                                               |
 *  +---------------------------------------------------------------+  8
 *  |                          page count                           |
 *  +---------------+---------------+-------------------------------+ 12
 *  |   encoding    |       0       |               0               |
 *  +---------------+---------------+-------------------------------+ 16
 *  |                          data length                          |
 *  +---------------------------------------------------------------+ 20
 *  |                             data                              |
 * </pre>
 *
 * Runs ascend by page number and do not overlap.
 */
public final class PageBatch {
  /** Wire pages are of one size, whatever the kernel's granule is. */
  public static final int PAGE_BYTES = 4096;

  static final int ROUND_OFFSET = 0;
  static final int REGION_OFFSET = ROUND_OFFSET + Integer.BYTES;
  static final int RUN_COUNT_OFFSET = REGION_OFFSET + Short.BYTES;

  /** Length of what stands in front of the runs. */
  public static final int BATCH_HEADER_BYTES = RUN_COUNT_OFFSET + Short.BYTES;

  static final int FIRST_PAGE_OFFSET = 0;
  static final int PAGE_COUNT_OFFSET = FIRST_PAGE_OFFSET + Long.BYTES;
  static final int ENCODING_OFFSET = PAGE_COUNT_OFFSET + Integer.BYTES;
  static final int RESERVED8_OFFSET = ENCODING_OFFSET + Byte.BYTES;
  static final int RESERVED16_OFFSET = RESERVED8_OFFSET + Byte.BYTES;
  static final int DATA_LENGTH_OFFSET = RESERVED16_OFFSET + Short.BYTES;

  /** Length of what stands in front of a run's data. */
  public static final int RUN_HEADER_BYTES = DATA_LENGTH_OFFSET + Integer.BYTES;

  /** The most runs in one batch. */
  public static final int MAX_RUNS = Limits.MAX_RUNS_PER_BATCH;

  /**
   * The most pages that are encoded into one frame: with every page raw and in a run of its own the
   * payload is still shorter than {@link FrameHeader#MAX_PAYLOAD}.
   */
  public static final int MAX_PAGES = 240;

  /** The most pages in one LZ4 block. */
  public static final int MAX_LZ4_PAGES = 16;

  /** The most pages in one ZSTD block: 256 KiB, which a reader unpacks at once. */
  public static final int MAX_ZSTD_PAGES = 64;

  /** The most pages in one DELTA run: as many as a reader needs the bases of at once. */
  public static final int MAX_DELTA_PAGES = 16;

  /** The most pages in one KNOWN run, which a reader reads from its image. */
  public static final int MAX_KNOWN_PAGES = MAX_PAGES;

  /** The most pages in one PARTS run: 256 KiB, which a reader puts together at once. */
  public static final int MAX_PARTS_PAGES = 64;

  /** The most pages in one batch of REFERENCE runs: each is looked for, and answered. */
  public static final int MAX_REFERENCES = Found.MAX_PAGES;

  /** The most pages in one run: what 32 bits hold. */
  static final long MAX_RUN_PAGES = 0xFFFF_FFFFL;

  /** All headers of a frame with a single run. */
  static final int SINGLE_RUN_HEADERS = FrameHeader.BYTES + BATCH_HEADER_BYTES + RUN_HEADER_BYTES;

  /**
   * Where the pages begin in a snapshot buffer: room for the headers of a single run, rounded up to
   * a cache line.
   */
  public static final int HEADROOM = 64;

  private PageBatch() {}

  /** How many pages may be encoded into one frame for a peer with these limits, at least 15. */
  public static int maxPages(Limits limits) {
    int fitting = (limits.maxPayloadBytes() - BATCH_HEADER_BYTES) / (PAGE_BYTES + RUN_HEADER_BYTES);
    return Math.min(MAX_PAGES, Math.min(fitting, limits.maxRunsPerBatch()));
  }

  /**
   * The round that a PAGES payload says it belongs to, without a look at the rest.
   *
   * @throws ProtocolException if the payload is too short for it or the number is not a round's
   */
  public static int round(ByteBuf payload) throws ProtocolException {
    if (payload.readableBytes() < BATCH_HEADER_BYTES) {
      throw ProtocolException.violation("a page batch of " + payload.readableBytes() + " bytes");
    }
    int round = payload.getIntLE(payload.readerIndex() + ROUND_OFFSET);
    if (round < 1) {
      throw ProtocolException.violation("a page batch of round " + Integer.toUnsignedString(round));
    }
    return round;
  }

  static void writeHeader(ByteBuf out, int index, int round, int region, int runCount) {
    out.setIntLE(index + ROUND_OFFSET, round);
    out.setShortLE(index + REGION_OFFSET, region);
    out.setShortLE(index + RUN_COUNT_OFFSET, runCount);
  }

  static void writeRunHeader(
      ByteBuf out, int index, long firstPage, long pages, PageEncoding encoding, int dataLength) {
    out.setLongLE(index + FIRST_PAGE_OFFSET, firstPage);
    out.setIntLE(index + PAGE_COUNT_OFFSET, (int) pages);
    out.setByte(index + ENCODING_OFFSET, encoding.code());
    out.setByte(index + RESERVED8_OFFSET, 0);
    out.setShortLE(index + RESERVED16_OFFSET, 0);
    out.setIntLE(index + DATA_LENGTH_OFFSET, dataLength);
  }
}
