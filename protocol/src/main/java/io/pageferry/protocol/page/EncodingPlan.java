package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;

/**
 * The runs of one batch, before they are written: which pages, in which encoding, and where their
 * data lies. Runs that are neighbours in page number, encoding and memory become one.
 *
 * <p>Reused from batch to batch; owned by one thread.
 */
final class EncodingPlan {
  private final long[] firstPage = new long[PageBatch.MAX_PAGES];
  private final int[] pages = new int[PageBatch.MAX_PAGES];
  private final PageEncoding[] encoding = new PageEncoding[PageBatch.MAX_PAGES];

  /**
   * Where the data lies: in the snapshot, or in the buffer of blocks, of differences or of parts.
   */
  private final int[] offset = new int[PageBatch.MAX_PAGES];

  private final int[] length = new int[PageBatch.MAX_PAGES];
  private int runs;
  private int dataBytes;

  void clear() {
    runs = 0;
    dataBytes = 0;
  }

  void zero(long first, int count) {
    if (continues(PageEncoding.ZERO, first)) {
      pages[runs - 1] += count;
    } else {
      add(PageEncoding.ZERO, first, count, 0, 0);
    }
  }

  void known(long first, int count) {
    if (continues(PageEncoding.KNOWN, first)) {
      pages[runs - 1] += count;
    } else {
      add(PageEncoding.KNOWN, first, count, 0, 0);
    }
  }

  void parts(long first, int count, int dataOffset, int bytes) {
    add(PageEncoding.PARTS, first, count, dataOffset, bytes);
  }

  void raw(long first, int count, int snapshotOffset) {
    int bytes = count * PageBatch.PAGE_BYTES;
    int last = runs - 1;
    if (continues(PageEncoding.RAW, first) && offset[last] + length[last] == snapshotOffset) {
      pages[last] += count;
      length[last] += bytes;
      dataBytes += bytes;
    } else {
      add(PageEncoding.RAW, first, count, snapshotOffset, bytes);
    }
  }

  /** A block by LZ4 or zstd. */
  void block(PageEncoding how, long first, int count, int blockOffset, int bytes) {
    add(how, first, count, blockOffset, bytes);
  }

  /** The difference of one page; those of neighbours that lie side by side become one run. */
  void delta(long first, int differenceOffset, int bytes) {
    int last = runs - 1;
    if (continues(PageEncoding.DELTA, first)
        && offset[last] + length[last] == differenceOffset
        && pages[last] < PageBatch.MAX_DELTA_PAGES) {
      pages[last]++;
      length[last] += bytes;
      dataBytes += bytes;
    } else {
      add(PageEncoding.DELTA, first, 1, differenceOffset, bytes);
    }
  }

  /** Whether all of it is one raw run in front, which then need not move in memory. */
  boolean isSingleRawRun() {
    return runs == 1 && encoding[0] == PageEncoding.RAW && offset[0] == PageBatch.HEADROOM;
  }

  int runs() {
    return runs;
  }

  int payloadBytes() {
    return PageBatch.BATCH_HEADER_BYTES + runs * PageBatch.RUN_HEADER_BYTES + dataBytes;
  }

  long firstPage(int run) {
    return firstPage[run];
  }

  int pages(int run) {
    return pages[run];
  }

  int length(int run) {
    return length[run];
  }

  /** Writes all runs with their data from {@code index} on. */
  void write(
      ByteBuf out,
      int index,
      ByteBuf snapshot,
      ByteBuf blocks,
      ByteBuf differences,
      ByteBuf parts) {
    int at = index;
    for (int run = 0; run < runs; run++) {
      PageBatch.writeRunHeader(out, at, firstPage[run], pages[run], encoding[run], length[run]);
      at += PageBatch.RUN_HEADER_BYTES;
      ByteBuf data =
          switch (encoding[run]) {
            case LZ4, ZSTD -> blocks;
            case DELTA -> differences;
            case PARTS -> parts;
            default -> snapshot;
          };
      out.setBytes(at, data, offset[run], length[run]);
      at += length[run];
    }
  }

  void count(PageTally tally) {
    for (int run = 0; run < runs; run++) {
      switch (encoding[run]) {
        case ZERO -> tally.zero(pages[run]);
        case RAW -> tally.raw(pages[run]);
        case DELTA -> tally.delta(pages[run]);
        case KNOWN -> tally.known(pages[run]);
        case ZSTD -> tally.zstd(pages[run]);
        case PARTS -> {} // counted page by page
        default -> tally.lz4(pages[run]);
      }
    }
  }

  private boolean continues(PageEncoding next, long first) {
    int last = runs - 1;
    return last >= 0 && encoding[last] == next && firstPage[last] + pages[last] == first;
  }

  private void add(PageEncoding how, long first, int count, int at, int bytes) {
    encoding[runs] = how;
    firstPage[runs] = first;
    pages[runs] = count;
    offset[runs] = at;
    length[runs] = bytes;
    runs++;
    dataBytes += bytes;
  }
}
