package io.pageferry.protocol.page;

import com.github.luben.zstd.Zstd;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How pages with content may be packed, from the one that costs least to the one that saves most.
 */
public enum PageCodec {
  /** Not at all. */
  RAW(PageEncoding.RAW, PageBatch.MAX_PAGES),
  /** Saves about half of what shrinks, at more than a gigabyte a second. */
  LZ4(PageEncoding.LZ4, PageBatch.MAX_LZ4_PAGES),
  /**
   * Saves a third more, at a third of the speed. It learns from the pages in front, so its blocks
   * are longer.
   */
  ZSTD(PageEncoding.ZSTD, PageBatch.MAX_ZSTD_PAGES);

  private static final Logger LOG = LoggerFactory.getLogger(PageCodec.class);
  private static volatile boolean zstdIsBeingLinked;

  private final PageEncoding encoding;
  private final int blockPages;

  PageCodec(PageEncoding encoding, int blockPages) {
    this.encoding = encoding;
    this.blockPages = blockPages;
  }

  /** What stands on the wire. */
  PageEncoding encoding() {
    return encoding;
  }

  /** The most pages that are packed together. */
  int blockPages() {
    return blockPages;
  }

  /**
   * Has a thread of its own link the library of zstd, which takes a tenth of a second that the
   * first block would take otherwise. Until it is done no block of zstd is packed for knowledge
   * only. No effect on a machine without that library.
   */
  public static void linkZstd() {
    zstdIsBeingLinked = true;
    Thread.ofPlatform()
        .daemon()
        .name("zstd-library")
        .start(
            () -> {
              try {
                Zstd.compressBound(1);
              } catch (LinkageError e) {
                LOG.debug("No zstd on this machine.", e);
              } finally {
                zstdIsBeingLinked = false;
              }
            });
  }

  /** Whether a block would have to wait for its library. */
  boolean isBeingLinked() {
    return this == ZSTD && zstdIsBeingLinked;
  }
}
