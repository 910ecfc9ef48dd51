package io.pageferry.guest.demo;

import static io.pageferry.guest.demo.PageFormat.BODY;
import static io.pageferry.guest.demo.PageFormat.BODY_BYTES;
import static io.pageferry.guest.demo.PageFormat.BYTES;
import static io.pageferry.guest.demo.PageFormat.WORD;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/**
 * Writes pages, or parts of them. Text and random content are taken from templates, so a page costs
 * well under a microsecond; any thread may use it. The templates are made once in a process and are
 * the same for every guest: making them takes longer than a guest may stand still while its state
 * is loaded.
 */
final class PageContent {
  private static final int TEXT_BYTES = 1 << 20;
  private static final int RANDOM_BYTES = 1 << 18;
  private static final String[] WORDS = {
    "the",
    "page",
    "guest",
    "memory",
    "migrates",
    "while",
    "it",
    "writes",
    "and",
    "no",
    "byte",
    "is",
    "lost",
    "on",
    "way",
    "source",
    "target",
    "round",
    "after",
    "dirty",
    "pages",
    "follow",
    "until",
    "few",
    "remain",
    "then",
    "a",
    "short",
    "pause",
    "hands",
    "over",
    "device",
    "state",
    "network",
    "carries",
    "zero",
    "of",
    "them",
    "compression",
    "helps",
    "where",
    "links",
    "are",
    "slow",
    "ferry",
    "crosses",
    "river",
    "morning",
    "evening",
    "harbour",
    "cargo",
    "manifest"
  };

  private static final MemorySegment RANDOM = randomTemplate();
  private static final MemorySegment TEXT = textTemplate();

  private final long seed;

  PageContent(long seed) {
    this.seed = seed;
  }

  private static MemorySegment randomTemplate() {
    MemorySegment random = Arena.global().allocate(RANDOM_BYTES + BYTES, 64);
    long state = 0x5DEECE66DL;
    for (long at = 0; at < random.byteSize(); at += 8) {
      state += 0x9E3779B97F4A7C15L;
      random.set(WORD, at, PageFormat.mix(state));
    }
    return random;
  }

  private static MemorySegment textTemplate() {
    MemorySegment text = Arena.global().allocate(TEXT_BYTES + BYTES, 64);
    long state = 0xB5026F5AAL;
    byte[][] words = new byte[WORDS.length][];
    for (int i = 0; i < words.length; i++) {
      words[i] = (WORDS[i] + " ").getBytes(StandardCharsets.US_ASCII);
    }
    long at = 0;
    while (at < text.byteSize()) {
      state += 0x9E3779B97F4A7C15L;
      byte[] word = words[(int) Long.remainderUnsigned(PageFormat.mix(state), words.length)];
      int length = (int) Math.min(word.length, text.byteSize() - at);
      MemorySegment.copy(word, 0, text, ValueLayout.JAVA_BYTE, at, length);
      at += length;
    }
    return text;
  }

  /** Writes the page as it is to be in this generation, header and checksum included. */
  void write(MemorySegment memory, long offset, long page, long generation, ContentKind kind) {
    long choice = PageFormat.mix(seed, page, generation);
    memory.set(WORD, offset + PageFormat.NUMBER, page);
    memory.set(WORD, offset + PageFormat.GENERATION, generation);
    memory.set(WORD, offset + PageFormat.KIND, kind.code());
    switch (kind) {
      case TEXT ->
          MemorySegment.copy(TEXT, choice & (TEXT_BYTES - 8), memory, offset + BODY, BODY_BYTES);
      case RECORDS -> records(memory, offset, choice);
      case RANDOM -> random(memory, offset, choice, BODY_BYTES);
      case HALF -> {
        random(memory, offset, choice, BYTES / 2 - BODY);
        memory.asSlice(offset + BYTES / 2, BYTES / 2).fill((byte) 0);
      }
    }
    memory.set(WORD, offset + PageFormat.CHECKSUM, PageFormat.checksum(memory, offset, seed));
  }

  /**
   * Makes the page that is there one of this generation by changing a part of it and its header.
   *
   * @param bytes how much of the content changes; rounded up to whole words
   */
  void change(MemorySegment memory, long offset, long page, long generation, int bytes) {
    long choice = PageFormat.mix(seed, page, generation);
    int length = Math.min(BODY_BYTES, (bytes + 7) & -8);
    int places = (BODY_BYTES - length) / 8 + 1;
    long at = offset + BODY + Long.remainderUnsigned(PageFormat.mix(choice), places) * 8;
    memory.set(WORD, offset + PageFormat.GENERATION, generation);
    if (memory.get(WORD, offset + PageFormat.KIND) == ContentKind.TEXT.code()) {
      MemorySegment.copy(TEXT, choice & (TEXT_BYTES - 8), memory, at, length);
    } else {
      long from = choice & (RANDOM_BYTES - 8);
      long key = PageFormat.mix(choice);
      for (int done = 0; done < length; done += 8) {
        memory.set(WORD, at + done, RANDOM.get(WORD, from + done) ^ key);
      }
    }
    memory.set(WORD, offset + PageFormat.CHECKSUM, PageFormat.checksum(memory, offset, seed));
  }

  private void random(MemorySegment memory, long offset, long choice, int length) {
    long from = choice & (RANDOM_BYTES - 8);
    // The key keeps two pages from the same place of the template from looking alike.
    long key = PageFormat.mix(choice);
    for (int at = 0; at < length; at += 8) {
      memory.set(WORD, offset + BODY + at, RANDOM.get(WORD, from + at) ^ key);
    }
  }

  private static void records(MemorySegment memory, long offset, long choice) {
    long row = choice & 0xFFFF_FFFFL;
    long heap = 0x7F3A_0000_0000L | (choice & 0xFF0_0000L);
    long noise = choice | 1;
    for (int at = BODY; at < BYTES; at += 32) {
      long word = offset + at;
      noise *= 0xD1342543DE82EF95L;
      memory.set(WORD, word, row++);
      memory.set(WORD, word + 8, heap + ((noise >>> 44) & ~15L));
      memory.set(WORD, word + 16, noise >>> 60);
      memory.set(WORD, word + 24, 0);
    }
  }
}
