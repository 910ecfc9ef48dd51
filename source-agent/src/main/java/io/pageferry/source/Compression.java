package io.pageferry.source;

import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.page.PageCodec;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;

/** How pages are packed, as the user wants it. What does not shrink goes raw in any case. */
enum Compression {
  /** As it pays. */
  AUTO,
  /** By LZ4. */
  LZ4,
  /** By zstd, or by LZ4 where one side has no zstd. */
  ZSTD,
  /** Not at all. */
  OFF;

  /** What may be tried on pages that nobody waits for. */
  Set<PageCodec> codecs(TargetLink link) {
    boolean lz4 = link.has(Capabilities.LZ4);
    boolean zstd = link.has(Capabilities.ZSTD);
    return switch (this) {
      case AUTO -> {
        Set<PageCodec> codecs = EnumSet.of(PageCodec.RAW);
        if (lz4) {
          codecs.add(PageCodec.LZ4);
        }
        if (zstd) {
          codecs.add(PageCodec.ZSTD);
        }
        yield codecs;
      }
      case LZ4 -> Set.of(lz4 ? PageCodec.LZ4 : PageCodec.RAW);
      case ZSTD -> zstd ? Set.of(PageCodec.ZSTD) : LZ4.codecs(link);
      case OFF -> Set.of(PageCodec.RAW);
    };
  }

  /** Whether pages that the guest waits for are packed, by LZ4: zstd would take too long. */
  boolean urgently(TargetLink link) {
    return this != OFF && link.has(Capabilities.LZ4);
  }

  /** As the option and the ledger spell it. */
  String word() {
    return name().toLowerCase(Locale.ROOT);
  }
}
