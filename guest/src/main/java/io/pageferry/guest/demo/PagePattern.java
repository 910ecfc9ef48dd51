package io.pageferry.guest.demo;

import java.util.Locale;

/**
 * How the demo guest writes, and with what. Where content is mixed, by page number and generation:
 * 3/8 of the pages hold text, 2/8 records, 2/8 random bytes, 1/8 are half random and half zero; and
 * of the pages outside the working set 1/8 are zero, in groups of eight.
 */
enum PagePattern {
  /** Every page of the working set is as likely as any other; mixed content. */
  UNIFORM(1, Mix.MIXED, 32),
  /** Nine writes of ten go to the first tenth of the working set; mixed content. */
  HOT_SPOT(2, Mix.MIXED, 32),
  /** Page after page, round and round; mixed content. */
  SEQUENTIAL(3, Mix.MIXED, 32),
  /** Nine pages of ten are zero; a written page becomes zero or gets mixed content; uniform. */
  MOSTLY_ZERO(4, Mix.MIXED, 230),
  /** All text; uniform. */
  TEXT(5, Mix.TEXT, 0),
  /** All random, which no compression shrinks; uniform. */
  RANDOM(6, Mix.RANDOM, 0);

  private enum Mix {
    MIXED,
    TEXT,
    RANDOM
  }

  /** Pages outside the working set are zero or not in groups of this many, as real holes lie. */
  private static final int GROUP = 8;

  private final int code;
  private final Mix mix;

  /** Of 256 pages that are not written, so many are zero. */
  private final int zeroOf256;

  PagePattern(int code, Mix mix, int zeroOf256) {
    this.code = code;
    this.mix = mix;
    this.zeroOf256 = zeroOf256;
  }

  /** What stands for it in the device state. */
  int code() {
    return code;
  }

  /** As the option {@code --pattern} spells it. */
  String word() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  static PagePattern of(int code) {
    for (PagePattern pattern : values()) {
      if (pattern.code == code) {
        return pattern;
      }
    }
    throw new IllegalArgumentException("no pattern has the code " + code);
  }

  /** What is to be on a page that is not zero. */
  ContentKind kind(long seed, long page, long generation) {
    return switch (mix) {
      case TEXT -> ContentKind.TEXT;
      case RANDOM -> ContentKind.RANDOM;
      case MIXED ->
          switch ((int) (PageFormat.mix(seed + 1, page, generation) & 7)) {
            case 0, 1, 2 -> ContentKind.TEXT;
            case 3, 4 -> ContentKind.RECORDS;
            case 5, 6 -> ContentKind.RANDOM;
            default -> ContentKind.HALF;
          };
    };
  }

  /** Whether a page outside the working set is zero, for ever. */
  boolean zeroForEver(long seed, long page) {
    return zeroOf256 > 0 && (PageFormat.mix(seed + 2, page / GROUP, 0) & 0xFF) < zeroOf256;
  }

  /** Whether a page of the working set is zero in this generation. */
  boolean zero(long seed, long page, long generation) {
    return this == MOSTLY_ZERO && (PageFormat.mix(seed + 3, page, generation) & 0xFF) < zeroOf256;
  }

  /**
   * Which page of the working set is written next.
   *
   * @param random 64 random bits
   * @param write how many writes there were before
   * @param pages in the working set
   */
  long next(long random, long write, long pages) {
    return switch (this) {
      case SEQUENTIAL -> write % pages;
      case HOT_SPOT -> {
        long hot = Math.max(1, pages / 10);
        boolean toHot = (random & 0xFFFF) * 10 < 0x10000L * 9 || hot == pages;
        yield toHot ? below(random, hot) : hot + below(random, pages - hot);
      }
      default -> below(random, pages);
    };
  }

  /** A number below {@code bound}, of the upper bits. */
  private static long below(long random, long bound) {
    return Math.unsignedMultiplyHigh(PageFormat.mix(random), bound);
  }
}
