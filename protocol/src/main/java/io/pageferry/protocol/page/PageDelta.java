package io.pageferry.protocol.page;

/**
 * One page within the data of a DELTA run. Numbers are little-endian.
 *
 * <pre>
 *  +---------------------------------------------------------------+  0
 *  |                 lower 32 bits of the page's hash              |
 *  +-------------------------------+---------------+---------------+  4
 *  |            length             |     form      |       0       |
 *  +-------------------------------+---------------+---------------+  8
 *  |                 so many bytes of difference                   |
 * </pre>
 *
 * The hash is the low word that {@link PageHash} makes of the page as it was sent. Whoever applies
 * the difference compares it with what came out, before that lands: a difference to another base
 * than the sender's shows there, and so does one that was damaged or applied wrongly. A checksum of
 * the base instead would show the first of the three only, and cost the sender another pass over
 * the base, whereas it has this one for the running digest anyway.
 */
final class PageDelta {
  static final int CHECK_OFFSET = 0;
  static final int LENGTH_OFFSET = CHECK_OFFSET + Integer.BYTES;
  static final int FORM_OFFSET = LENGTH_OFFSET + Short.BYTES;
  static final int RESERVED_OFFSET = FORM_OFFSET + Byte.BYTES;
  static final int HEADER_BYTES = RESERVED_OFFSET + Byte.BYTES;

  /** Runs of changed bytes, see {@link DeltaRuns}. */
  static final int RUNS = 1;

  /** An LZ4 block that unpacks to the exclusive or of both pages. */
  static final int XOR_LZ4 = 2;

  /** The longest difference: a page that cannot be shortened by an eighth is sent whole. */
  static final int MAX_BYTES =
      PageBatch.PAGE_BYTES - PageBatch.PAGE_BYTES / 8 - PageDelta.HEADER_BYTES;

  private PageDelta() {}
}
