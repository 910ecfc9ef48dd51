package io.pageferry.target.content;

import io.pageferry.protocol.page.ContentHash;
import io.pageferry.protocol.page.PageBatch;
import io.pageferry.protocol.page.ZeroPages;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Files in which guests' pages may be: a disk image, an older memory image, a kernel. They are read
 * once, on a thread of their own, and their pages' digests remembered; a file that changes
 * afterwards only has less of what is looked for.
 */
final class HintFiles implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(HintFiles.class);
  private static final int PAGE = PageBatch.PAGE_BYTES;
  private static final int PAGES_AT_ONCE = 64;

  /** 32 MiB, for 8 GiB of different content. */
  private static final int ENTRIES = 1 << 21;

  private final ContentIndex index = new ContentIndex(ENTRIES);
  private volatile boolean over;

  private HintFiles() {}

  /** Begins to read. */
  static HintFiles read(List<Path> files) {
    HintFiles hints = new HintFiles();
    if (!files.isEmpty()) {
      Thread.ofPlatform().name("hints").daemon().start(() -> hints.readAll(files));
    }
    return hints;
  }

  ContentIndex index() {
    return index;
  }

  private void readAll(List<Path> files) {
    for (Path path : files) {
      try {
        long pages = read(path);
        LOG.info("{} pages of {} can be found here", pages, path);
      } catch (IOException e) {
        LOG.warn("what {} holds is not found from here on: {}", path, e.getMessage());
      }
    }
  }

  private long read(Path path) throws IOException {
    PageFile file = PageFile.at(path, false);
    if (!index.add(file)) {
      throw new IOException("there are too many such files");
    }
    ContentHash hash = new ContentHash();
    ByteBuffer memory = ByteBuffer.allocateDirect(PAGES_AT_ONCE * PAGE);
    MemorySegment segment = MemorySegment.ofBuffer(memory);
    long pages = 0;
    try (FileChannel channel = file.open()) {
      for (long page = 0; !over; page += PAGES_AT_ONCE) {
        memory.clear();
        while (memory.hasRemaining()
            && channel.read(memory, page * PAGE + memory.position()) >= 0) {
          // As much as there is.
        }
        int whole = memory.position() / PAGE;
        for (int i = 0; i < whole; i++) {
          if (!ZeroPages.isZero(segment, (long) i * PAGE, PAGE)) {
            index.put(ContentHash.key(hash.of(memory, i * PAGE)), file, page + i);
            pages++;
          }
        }
        if (whole < PAGES_AT_ONCE) {
          break;
        }
      }
    }
    return pages;
  }

  @Override
  public void close() {
    over = true;
  }
}
