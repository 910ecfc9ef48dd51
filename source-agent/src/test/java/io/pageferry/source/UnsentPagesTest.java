package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(180)
class UnsentPagesTest {

  @Test
  void aPageIsClaimedOnce() {
    UnsentPages unsent = new UnsentPages(new long[] {200, 10});
    unsent.mark(0, 60, 10);
    unsent.mark(0, 65, 10);
    unsent.mark(1, 9, 1);
    assertThat(unsent.count()).isEqualTo(16);
    assertThat(unsent.claim(0, 64)).isTrue();
    assertThat(unsent.claim(0, 64)).isFalse();
    assertThat(unsent.claim(0, 59)).isFalse();
    assertThat(unsent.claim(1, 9)).isTrue();
    assertThat(unsent.count()).isEqualTo(14);
  }

  @Test
  void aRangeComesAsTheRunsThatAreLeft() {
    UnsentPages unsent = new UnsentPages(new long[] {400});
    unsent.mark(0, 0, 400);
    unsent.claim(0, 100);
    unsent.claim(0, 191);
    List<String> runs = new ArrayList<>();
    long claimed =
        unsent.claimRange(
            0, 50, 320, (region, first, count) -> runs.add(region + ":" + first + "+" + count));
    assertThat(runs).containsExactly("0:50+50", "0:101+90", "0:192+128");
    assertThat(claimed).isEqualTo(268);
    assertThat(unsent.nextUnsent(0, 50, 400)).isEqualTo(320);
    assertThat(unsent.nextUnsent(0, 50, 320)).isEqualTo(320);
    assertThat(unsent.lastUnsent(0, 0, 320)).isEqualTo(49);
    assertThat(unsent.lastUnsent(0, 50, 320)).isEqualTo(-1);
    assertThat(unsent.lastUnsent(0, 50, 322)).isEqualTo(321);
  }

  @Test
  void whatCanOnlyBeMissingTogetherIsMarkedTogether() {
    UnsentPages unsent = new UnsentPages(new long[] {1000}, 256);
    List<String> fresh = new ArrayList<>();
    UnsentPages.Runs noted = (region, first, count) -> fresh.add(first + "+" + count);
    unsent.mark(0, 300, 1, noted);
    unsent.mark(0, 511, 1, noted);
    unsent.mark(0, 255, 300, noted);
    unsent.mark(0, 999, 1, noted);
    assertThat(fresh).containsExactly("256+256", "0+256", "512+256", "768+232");
    assertThat(unsent.count()).isEqualTo(1000);
  }

  @Test
  void numbersOfAPeerAreCheckedWithoutOverflow() {
    UnsentPages unsent = new UnsentPages(new long[] {100});
    assertThat(unsent.holds(0, 99, 1)).isTrue();
    assertThat(unsent.holds(0, 99, 2)).isFalse();
    assertThat(unsent.holds(0, Long.MAX_VALUE, 1)).isFalse();
    assertThat(unsent.holds(0, 1, Long.MAX_VALUE)).isFalse();
    assertThat(unsent.holds(0, -1, 1)).isFalse();
    assertThat(unsent.holds(1, 0, 1)).isFalse();
    assertThatThrownBy(() -> unsent.mark(0, 100, 1)).isInstanceOf(IndexOutOfBoundsException.class);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void agreesWithAPlainBitSet(long seed) {
    Random random = new Random(seed);
    int pages = 1 + random.nextInt(700);
    UnsentPages unsent = new UnsentPages(new long[] {pages});
    BitSet expected = new BitSet(pages);
    for (int i = 0; i < 20; i++) {
      int first = random.nextInt(pages);
      int count = random.nextInt(Math.min(140, pages - first) + 1);
      unsent.mark(0, first, count);
      expected.set(first, first + count);
    }
    assertThat(unsent.count()).isEqualTo(expected.cardinality());
    for (int i = 0; i < 60; i++) {
      int first = random.nextInt(pages);
      int end = first + random.nextInt(pages - first + 1);
      int next = expected.nextSetBit(first);
      assertThat(unsent.nextUnsent(0, first, end)).isEqualTo(next < 0 || next >= end ? end : next);
      int last = end == 0 ? -1 : expected.previousSetBit(end - 1);
      assertThat(unsent.lastUnsent(0, first, end)).isEqualTo(last < first ? -1 : last);
      if (i % 3 == 0) {
        BitSet claimed = new BitSet();
        unsent.claimRange(
            0, first, end, (region, page, count) -> claimed.set((int) page, (int) (page + count)));
        BitSet wanted = expected.get(0, pages);
        wanted.clear(0, first);
        wanted.clear(end, pages);
        assertThat(claimed).isEqualTo(wanted);
        expected.andNot(wanted);
        assertThat(unsent.count()).isEqualTo(expected.cardinality());
      }
    }
  }

  @Test
  void claimsOfManyThreadsNeverMeet() throws Exception {
    int pages = 100_000;
    UnsentPages unsent = new UnsentPages(new long[] {pages});
    unsent.mark(0, 0, pages);
    AtomicIntegerArray claims = new AtomicIntegerArray(pages);
    List<Thread> threads = new ArrayList<>();
    for (int t = 0; t < 4; t++) {
      int seed = t;
      threads.add(Thread.ofPlatform().start(() -> claimAll(unsent, claims, new Random(seed))));
    }
    for (Thread thread : threads) {
      thread.join();
    }
    assertThat(unsent.count()).isZero();
    for (int page = 0; page < pages; page++) {
      assertThat(claims.get(page)).isEqualTo(1);
    }
  }

  private static void claimAll(UnsentPages unsent, AtomicIntegerArray claims, Random random) {
    int pages = claims.length();
    while (unsent.count() > 0) {
      int page = random.nextInt(pages);
      if (random.nextBoolean()) {
        if (unsent.claim(0, page)) {
          claims.incrementAndGet(page);
        }
      } else {
        unsent.claimRange(
            0,
            page,
            Math.min(pages, page + 500),
            (region, first, count) -> {
              for (long at = first; at < first + count; at++) {
                claims.incrementAndGet((int) at);
              }
            });
      }
    }
  }
}
