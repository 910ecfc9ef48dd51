package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.frame.ProtocolException;
import java.io.IOException;
import java.nio.ByteBuffer;

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

  /**
   * These pages are what is there of them from an earlier time. Unless an implementation says
   * otherwise there is nothing.
   *
   * @throws ProtocolException if there is nothing, or it was not named to the sender
   */
  default void known(int round, int region, long firstPage, int count) throws IOException {
    throw ProtocolException.violation("page " + firstPage + " is not known here");
  }

  /**
   * What is there of these pages from an earlier time, because parts of them are about to come.
   * Unless an implementation says otherwise there is nothing.
   *
   * @param into to be filled with so many whole pages, direct; borrowed for the call
   * @throws ProtocolException if there is nothing, or it was not named to the sender
   */
  default void earlier(int round, int region, long firstPage, int count, ByteBuffer into)
      throws IOException {
    throw ProtocolException.violation("page " + firstPage + " is not known here");
  }

  /**
   * These pages have the content with these digests, if it can be found; what cannot comes in
   * another encoding. All runs of a batch are of this kind or none is. Unless an implementation
   * says otherwise this is not asked here.
   *
   * @param digests {@link ContentHash#BYTES} for each page, from the reader index on. Borrowed:
   *     valid until the call returns, not to be released
   * @throws ProtocolException if nothing is looked for here, or not now
   */
  default void references(int round, int region, long firstPage, int count, ByteBuf digests)
      throws IOException {
    throw ProtocolException.violation("page " + firstPage + " is not looked for here");
  }

  /**
   * What has landed of these pages, because they are about to come as differences from it. Unless
   * an implementation says otherwise there is nothing.
   *
   * @param into to be filled with whole pages, direct; borrowed for the call
   * @throws ProtocolException if a page has not come before, or has no content
   */
  default void bases(int round, int region, long firstPage, ByteBuffer into) throws IOException {
    throw ProtocolException.violation("a delta of page " + firstPage + ", which has not landed");
  }
}
