package io.pageferry.target.reception;

import io.netty.buffer.ByteBuf;
import java.io.IOException;

/**
 * Where the pages of one channel land, and their share of the running digest. Used by one thread at
 * a time.
 */
interface Berth {
  /**
   * Pages with content.
   *
   * @param data whole pages in direct memory, borrowed for the call
   */
  void pages(int region, long firstPage, ByteBuf data) throws IOException;

  /** Pages of zeros. */
  void zero(int region, long firstPage, long count) throws IOException;

  /** The end of a frame: nothing of it is put off any longer. */
  void flush() throws IOException;
}
