package io.pageferry.protocol.page;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.PooledByteBufAllocator;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ShrinkageTest {
  private static final int RAW = 16 * 4096;

  @Test
  void whatShrinksIsAlwaysTried() {
    Shrinkage shrinkage = new Shrinkage(Shrinkage.MAX_PAUSE_PAGES);
    for (int i = 0; i < 1000; i++) {
      assertThat(shrinkage.worthTrying(16)).isTrue();
      assertThat(shrinkage.tried(RAW, RAW / 2)).isTrue();
    }
  }

  @Test
  void anEighthMustBeSaved() {
    assertThat(new Shrinkage(Shrinkage.MAX_PAUSE_PAGES).tried(RAW, RAW - RAW / 8)).isTrue();
    assertThat(new Shrinkage(Shrinkage.MAX_PAUSE_PAGES).tried(RAW, RAW - RAW / 8 + 1)).isFalse();
  }

  @Test
  void whatDoesNotShrinkIsTriedLessAndLessButNeverForgotten() {
    Shrinkage shrinkage = new Shrinkage(Shrinkage.MAX_PAUSE_PAGES);
    List<Integer> tries = new ArrayList<>();
    for (int run = 0; run < 10_000; run++) {
      if (shrinkage.worthTrying(16)) {
        shrinkage.tried(RAW, RAW + 100);
        tries.add(run);
      }
    }
    assertThat(tries.subList(0, 7)).containsExactly(0, 2, 5, 10, 19, 36, 69);
    // From then on once in 1024 pages, which are 64 runs.
    for (int i = 8; i < tries.size(); i++) {
      assertThat(tries.get(i) - tries.get(i - 1)).isEqualTo(65);
    }
  }

  @Test
  void whereTryingIsCheapNothingGoesByUntried() {
    Shrinkage shrinkage = new Shrinkage(Shrinkage.NO_PAUSE);
    for (int i = 0; i < 20; i++) {
      assertThat(shrinkage.worthTrying(16)).isTrue();
      assertThat(shrinkage.tried(RAW, RAW)).isFalse();
    }
  }

  @Test
  void contentThatChangesIsNoticedWithinFourMebibytes() {
    Random random = new Random(1);
    ImageLayout layout = PageFixture.layout(240);
    try (PageEncoder encoder = new PageEncoder(PooledByteBufAllocator.DEFAULT, true);
        ImageDigest digest = new ImageDigest(layout)) {
      ImageDigest.Stripe stripe = digest.stripe();
      PageTally noise = new PageTally();
      for (int batch = 0; batch < 40; batch++) {
        encode(encoder, stripe, batchOf(random, false), noise);
      }
      assertThat(noise.raw()).isEqualTo(40 * 240);
      PageTally text = new PageTally();
      for (int batch = 0; batch < 10; batch++) {
        encode(encoder, stripe, batchOf(random, true), text);
      }
      assertThat(text.raw()).isLessThanOrEqualTo(Shrinkage.MAX_PAUSE_PAGES + 16);
      assertThat(text.lz4()).isEqualTo(10 * 240 - text.raw());
      PageTally after = new PageTally();
      encode(encoder, stripe, batchOf(random, true), after);
      assertThat(after.lz4()).isEqualTo(240);
    }
  }

  @Test
  void aSampleThatShrinksEndsThePauseOfThoseThatDidNot() {
    Shrinkage shrinkage = new Shrinkage(Shrinkage.MAX_PAUSE_PAGES);
    for (int i = 0; i < 10; i++) {
      assertThat(shrinkage.tried(1000, 999)).isFalse();
    }
    assertThat(shrinkage.worthTrying(1)).isFalse();
    assertThat(shrinkage.tried(1000, 300)).isTrue();
    assertThat(shrinkage.worthTrying(1)).isTrue();
  }

  private static List<byte[]> batchOf(Random random, boolean text) {
    List<byte[]> pages = new ArrayList<>();
    for (int i = 0; i < 240; i++) {
      pages.add(text ? PageFixture.text(random) : PageFixture.noise(random));
    }
    return pages;
  }

  private static void encode(
      PageEncoder encoder, ImageDigest.Stripe stripe, List<byte[]> pages, PageTally tally) {
    encoder
        .encode(1, PageRuns.of(0, 0, 240), PageFixture.snapshot(encoder, pages), stripe, tally)
        .release();
  }
}
