package io.pageferry.guest.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.EnumMap;
import java.util.Map;
import java.util.zip.Deflater;
import org.junit.jupiter.api.Test;

final class PagePatternTest {
  private static final long SEED = 5;
  private static final int PAGES = 1000;
  private static final int WRITES = 200_000;

  private static long[] hits(PagePattern pattern) {
    long[] hits = new long[PAGES];
    GuestMemory memory = GuestMemory.scratch(PAGES);
    Registers registers = new Registers(SEED, pattern, 1, new WorkingSet(memory, PAGES));
    for (long write = 0; write < WRITES; write++) {
      hits[(int) pattern.next(registers.nextRandom(), write, PAGES)]++;
    }
    return hits;
  }

  @Test
  void uniformFavoursNoPage() {
    for (long count : hits(PagePattern.UNIFORM)) {
      assertThat((double) count).isCloseTo(200.0, within(90.0));
    }
  }

  @Test
  void ninetyPerCentGoToTheHotTenth() {
    long[] hits = hits(PagePattern.HOT_SPOT);
    long hot = 0;
    for (int i = 0; i < PAGES / 10; i++) {
      hot += hits[i];
      assertThat((double) hits[i]).isCloseTo(1800.0, within(300.0));
    }
    assertThat((double) hot / WRITES).isCloseTo(0.9, within(0.01));
    for (int i = PAGES / 10; i < PAGES; i++) {
      assertThat(hits[i]).isBetween(1L, 80L);
    }
  }

  @Test
  void sequentialTakesEachInTurn() {
    assertThat(hits(PagePattern.SEQUENTIAL)).containsOnly(WRITES / PAGES);
  }

  @Test
  void everyPatternStaysInASetOfOnePage() {
    for (PagePattern pattern : PagePattern.values()) {
      assertThat(pattern.next(-1L, 77, 1)).isZero();
      assertThat(pattern.next(0L, 78, 1)).isZero();
    }
  }

  @Test
  void mostlyZeroIsNineTenthsZero() {
    int zeroForEver = 0;
    int zero = 0;
    int turned = 0;
    for (int page = 0; page < 100_000; page++) {
      zeroForEver += PagePattern.MOSTLY_ZERO.zeroForEver(SEED, page) ? 1 : 0;
      zero += PagePattern.MOSTLY_ZERO.zero(SEED, page, 9) ? 1 : 0;
      turned +=
          PagePattern.MOSTLY_ZERO.zero(SEED, page, 9)
                  != PagePattern.MOSTLY_ZERO.zero(SEED, page, 10)
              ? 1
              : 0;
    }
    assertThat(zeroForEver / 100_000.0).isCloseTo(0.9, within(0.015));
    assertThat(zero / 100_000.0).isCloseTo(0.9, within(0.01));
    assertThat(turned / 100_000.0).isCloseTo(0.18, within(0.02));
  }

  @Test
  void mixedContentIsAsSaid() {
    Map<ContentKind, Integer> counts = new EnumMap<>(ContentKind.class);
    int zero = 0;
    for (int page = 0; page < 100_000; page++) {
      counts.merge(PagePattern.UNIFORM.kind(SEED, page, 3), 1, Integer::sum);
      zero += PagePattern.UNIFORM.zeroForEver(SEED, page) ? 1 : 0;
      assertThat(PagePattern.UNIFORM.zero(SEED, page, 3)).isFalse();
    }
    assertThat(counts.getOrDefault(ContentKind.TEXT, 0) / 100_000.0).isCloseTo(0.375, within(0.01));
    assertThat(counts.getOrDefault(ContentKind.RECORDS, 0) / 100_000.0)
        .isCloseTo(0.25, within(0.01));
    assertThat(counts.getOrDefault(ContentKind.RANDOM, 0) / 100_000.0)
        .isCloseTo(0.25, within(0.01));
    assertThat(counts.getOrDefault(ContentKind.HALF, 0) / 100_000.0).isCloseTo(0.125, within(0.01));
    assertThat(zero / 100_000.0).isCloseTo(0.125, within(0.015));
  }

  @Test
  void contentCompressesAsItsKindSays() {
    assertThat(compressed(ContentKind.TEXT)).isBetween(0.1, 0.6);
    assertThat(compressed(ContentKind.RECORDS)).isBetween(0.05, 0.7);
    assertThat(compressed(ContentKind.RANDOM)).isGreaterThan(0.98);
    assertThat(compressed(ContentKind.HALF)).isBetween(0.45, 0.55);
  }

  private static double compressed(ContentKind kind) {
    int pages = 16;
    MemorySegment memory = GuestMemory.scratch(pages).region(0);
    PageContent content = new PageContent(SEED);
    for (int page = 0; page < pages; page++) {
      content.write(memory, (long) page * PageFormat.BYTES, page, 2, kind);
    }
    Deflater deflater = new Deflater(Deflater.BEST_SPEED);
    deflater.setInput(memory.toArray(ValueLayout.JAVA_BYTE));
    deflater.finish();
    byte[] out = new byte[2 * pages * PageFormat.BYTES];
    int length = deflater.deflate(out);
    deflater.end();
    return (double) length / (pages * PageFormat.BYTES);
  }

  @Test
  void aSmallWriteChangesItsPartAndTheHeaderAndThePageIsRight() {
    for (PagePattern pattern : PagePattern.values()) {
      GuestMemory memory = GuestMemory.scratch(8);
      PageContent content = new PageContent(SEED);
      Registers registers = new Registers(SEED, pattern, 1, new WorkingSet(memory, 8), 100);
      for (long page = 0; page < 8; page++) {
        if (!pattern.zero(SEED, page, 1)) {
          content.write(
              memory.region(0), page * PageFormat.BYTES, page, 1, pattern.kind(SEED, page, 1));
        }
      }
      PageCheck check = new PageCheck(memory, registers);
      PageWriter writer = new PageWriter(memory, registers, content, check);
      byte[] before = memory.region(0).toArray(ValueLayout.JAVA_BYTE);
      int small = 0;
      for (int write = 0; write < 500; write++) {
        writer.writeNext();
        byte[] after = memory.region(0).toArray(ValueLayout.JAVA_BYTE);
        int changed = 0;
        for (int at = 0; at < after.length; at++) {
          changed += after[at] == before[at] ? 0 : 1;
        }
        assertThat(changed > 0 || pattern == PagePattern.MOSTLY_ZERO).isTrue();
        small += changed <= 104 + 16 ? 1 : 0;
        before = after;
      }
      for (long page = 0; page < 8; page++) {
        check.page(page);
      }
      assertThat(registers.faults).describedAs("%s", registers.firstFault).isZero();
      assertThat(small).isGreaterThan(pattern == PagePattern.MOSTLY_ZERO ? 0 : 499);
    }
  }

  @Test
  void everyBitOfAPageCounts() {
    MemorySegment memory = GuestMemory.scratch(1).region(0);
    PageContent content = new PageContent(SEED);
    content.write(memory, 0, 0, 1, ContentKind.RECORDS);
    long sum = PageFormat.checksum(memory, 0, SEED);
    for (int bit = 0; bit < PageFormat.BYTES * 8; bit++) {
      int at = bit / 8;
      if (at >= PageFormat.CHECKSUM && at < PageFormat.CHECKSUM + 8) {
        continue;
      }
      byte was = memory.get(ValueLayout.JAVA_BYTE, at);
      memory.set(ValueLayout.JAVA_BYTE, at, (byte) (was ^ (1 << (bit % 8))));
      assertThat(PageFormat.checksum(memory, 0, SEED)).as("bit %d", bit).isNotEqualTo(sum);
      memory.set(ValueLayout.JAVA_BYTE, at, was);
    }
  }
}
