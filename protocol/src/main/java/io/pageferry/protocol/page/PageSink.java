package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import java.io.IOException;

/**
 * Where decoded pages go. Called on the decoder's thread, only with region and page numbers that
 * the image has.
 */
public interface PageSink {
  /** These pages are zero; {@code count} may be a whole region. */
  void zero(int round, int region, long firstPage, long count) throws IOException;

  /**
   * These pages have this content.
   *
   * @param data whole pages, from reader index to writer index, in direct memory. Borrowed: valid
   *     until the call returns, not to be released
   */
  void pages(int round, int region, long firstPage, ByteBuf data) throws IOException;
}
