package io.pageferry.protocol.page;

import io.pageferry.protocol.frame.ProtocolException;

/** How the pages of one run travel. The codes are the wire's; 0 is never valid. */
public enum PageEncoding {
  /** All bytes are zero; nothing follows. */
  ZERO(1),
  /** 4096 bytes a page. */
  RAW(2),
  /** One LZ4 block for the whole run, shorter than its pages. */
  LZ4(3),
  /** The differences from what the target has, see PROTOCOL.md. */
  DELTA(4),
  /** What the target still has of these pages from an earlier time; nothing follows. */
  KNOWN(5),
  /** One frame of zstd for the whole run, shorter than its pages. */
  ZSTD(6),
  /** The digests of the pages, which the target may have the content of. */
  REFERENCE(7),
  /** What the target lacks of pages of which it still has the rest, see {@link PageParts}. */
  PARTS(8);

  private final int code;

  PageEncoding(int code) {
    this.code = code;
  }

  /** The number on the wire. */
  public int code() {
    return code;
  }

  /**
   * The encoding with this number.
   *
   * @throws ProtocolException if there is none
   */
  public static PageEncoding of(int code) throws ProtocolException {
    return switch (code) {
      case 1 -> ZERO;
      case 2 -> RAW;
      case 3 -> LZ4;
      case 4 -> DELTA;
      case 5 -> KNOWN;
      case 6 -> ZSTD;
      case 7 -> REFERENCE;
      case 8 -> PARTS;
      default -> throw ProtocolException.violation("page encoding " + code + " is not known");
    };
  }
}
