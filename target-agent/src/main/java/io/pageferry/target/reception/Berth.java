package io.pageferry.target.reception;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.frame.ProtocolException;
import java.io.IOException;
import java.nio.ByteBuffer;

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

  /**
   * Pages that have just landed, without having been asked for before, are to be found from here on
   * by others who ask for their content. Where nothing is looked for nothing is done.
   *
   * @param data the same whole pages, borrowed for the call
   */
  default void remember(int region, long firstPage, ByteBuf data) {}

  /** Pages of zeros. */
  void zero(int region, long firstPage, long count) throws IOException;

  /**
   * What has landed of these pages before. Only where the guest stands still and every page of an
   * earlier round is there: in post-copy a page crosses once.
   *
   * @param into to be filled with whole pages, borrowed for the call
   * @throws ProtocolException if there is nothing to which a page could be a difference
   */
  default void bases(int region, long firstPage, ByteBuffer into) throws IOException {
    throw ProtocolException.violation("a delta of page " + firstPage + " outside of the rounds");
  }

  /**
   * Pages that are what they were at an earlier time. Only where an image of then is there.
   *
   * @throws ProtocolException if there is none, or the source was not told of it
   */
  default void known(int region, long firstPage, int count) throws IOException {
    throw ProtocolException.violation("page " + firstPage + " is not known here");
  }

  /**
   * What is there of pages from an earlier time, of which parts are about to come. Only where an
   * image of then is there.
   *
   * @param into to be filled with so many whole pages, borrowed for the call
   * @throws ProtocolException if there is none, or the source was not told of it
   */
  default void earlier(int region, long firstPage, int count, ByteBuffer into) throws IOException {
    throw ProtocolException.violation("page " + firstPage + " is not known here");
  }

  /**
   * Pages that are known by the digests of their content: what is found lands. Only where it may be
   * looked for.
   *
   * @param digests of so many pages, borrowed for the call
   * @param findings receives from {@code at} on what became of each, as {@link
   *     io.pageferry.protocol.message.Found} has it
   * @return how many have landed
   * @throws ProtocolException if nothing is looked for here
   */
  default int references(
      int region, long firstPage, int count, ByteBuf digests, byte[] findings, int at)
      throws IOException {
    throw ProtocolException.violation("page " + firstPage + " is not looked for here");
  }

  /** The end of a frame: nothing of it is put off any longer. */
  void flush() throws IOException;

  /** The end of a frame, also of one that failed: what it took is given back. */
  default void release() {}
}
