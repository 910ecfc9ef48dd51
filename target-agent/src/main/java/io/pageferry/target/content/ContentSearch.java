package io.pageferry.target.content;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.page.ContentHash;
import io.pageferry.protocol.page.PageBatch;
import io.pageferry.protocol.page.ZeroPages;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Looks for pages by their digests. A page that may be the one is read into a buffer, and it is
 * that buffer which is hashed and, if it is the one, used: what becomes of the file at the same
 * time (its guest writes to it, somebody cuts it off) makes the page one that is not found.
 *
 * <p>One for each data channel, used by one thread at a time.
 */
public final class ContentSearch {
  private static final int PAGE = PageBatch.PAGE_BYTES;

  private final ContentIndex group;
  private final ContentIndex hints;
  private final List<PageFile> own;
  private final ContentHash hash = new ContentHash();
  private final ContentIndex.Places places = new ContentIndex.Places();
  private final Map<PageFile, FileChannel> open = new HashMap<>();
  private final byte[] wanted = new byte[ContentHash.BYTES];

  ContentSearch(ContentIndex group, ContentIndex hints, List<PageFile> own) {
    this.group = group;
    this.hints = hints;
    this.own = own;
  }

  /**
   * Looks for one page of the arriving guest.
   *
   * @param digest {@link ContentHash#BYTES} from {@code at} on
   * @param into a page of direct memory from index 0 on, which has the content if it was found
   * @return {@link Found#HELD}, {@link Found#WANTED} or {@link Found#COMING}; wherever it comes
   *     from, this page's own place is where it is looked for next
   */
  public byte find(int region, long page, ByteBuf digest, int at, ByteBuf into) {
    digest.getBytes(at, wanted);
    long key = digest.getLongLE(at);
    PageFile ownFile = own.get(region);
    byte finding = find(group, key, ownFile, page, into);
    if (finding != Found.HELD && find(hints, key, ownFile, page, into) == Found.HELD) {
      finding = Found.HELD;
    }
    if (finding != Found.COMING) {
      group.put(key, ownFile, page);
    }
    return finding;
  }

  /**
   * Pages have landed that nobody had asked for.
   *
   * @param pages direct memory, whole pages from the reader index on
   */
  public void remember(int region, long firstPage, ByteBuf pages) {
    PageFile file = own.get(region);
    ByteBuffer memory = pages.nioBuffer();
    MemorySegment segment = MemorySegment.ofBuffer(memory);
    for (int at = 0; at < memory.limit(); at += PAGE) {
      if (!ZeroPages.isZero(segment, at, PAGE)) {
        group.put(ContentHash.key(hash.of(memory, at)), file, firstPage + at / PAGE);
      }
    }
  }

  private byte find(ContentIndex in, long key, PageFile ownFile, long ownPage, ByteBuf into) {
    in.find(key, places);
    byte finding = Found.WANTED;
    for (int i = 0; i < places.count; i++) {
      PageFile file = Objects.requireNonNull(places.file[i]);
      ByteBuffer memory = into.nioBuffer(0, PAGE);
      if (!read(in, file, places.page[i], memory)) {
        continue;
      }
      if (ZeroPages.isZero(MemorySegment.ofBuffer(memory), 0, PAGE)) {
        boolean itself = file == ownFile && places.page[i] == ownPage;
        // What is offered is never zero: this page has been asked for and has not landed yet.
        if (file.arriving() && !itself) {
          finding = Found.COMING;
        }
      } else if (Arrays.equals(hash.of(memory, 0), wanted)) {
        return Found.HELD;
      }
    }
    return finding;
  }

  /** Leaves position and limit as they are. */
  private boolean read(ContentIndex in, PageFile file, long page, ByteBuffer memory) {
    FileChannel channel = open.get(file);
    try {
      if (channel == null) {
        channel = file.open();
        open.put(file, channel);
      }
      ByteBuffer rest = memory.duplicate();
      while (rest.hasRemaining()) {
        if (channel.read(rest, page * PAGE + rest.position()) < 0) {
          return false;
        }
      }
      return true;
    } catch (IOException e) {
      in.removeIf(file::equals);
      return false;
    }
  }

  /** Lets go of the files that were looked into; the next search opens them again. */
  public void release() {
    if (open.isEmpty()) {
      return;
    }
    for (FileChannel channel : open.values()) {
      try {
        channel.close();
      } catch (IOException readOnly) {
        // There is nothing to be lost.
      }
    }
    open.clear();
  }
}
