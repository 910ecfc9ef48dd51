package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DirtyPagesTest {

  @Test
  void runsAreMergedAndComeOnce() throws IOException {
    DirtyPages dirty = new DirtyPages(new long[] {200, 10});
    dirty.mark(0, 60, 10);
    dirty.mark(0, 65, 10);
    dirty.mark(1, 0, 10);
    dirty.mark(0, 199, 1);

    assertThat(dirty.count()).isEqualTo(15 + 10 + 1);
    assertThat(drain(dirty)).containsExactly("0:60+15", "0:199+1", "1:0+10");
    assertThat(dirty.count()).isZero();
    assertThat(drain(dirty)).isEmpty();
  }

  @Test
  void pagesBeyondTheRegionAreRefused() {
    DirtyPages dirty = new DirtyPages(new long[] {64});
    assertThatThrownBy(() -> dirty.mark(0, 60, 5)).isInstanceOf(IndexOutOfBoundsException.class);
    assertThatThrownBy(() -> dirty.mark(0, -1, 1)).isInstanceOf(IndexOutOfBoundsException.class);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void agreesWithAPlainBitSet(long seed) throws IOException {
    Random random = new Random(seed);
    int pages = 1 + random.nextInt(700);
    DirtyPages dirty = new DirtyPages(new long[] {pages});
    BitSet expected = new BitSet(pages);
    for (int i = 0; i < 40; i++) {
      int first = random.nextInt(pages);
      int count = random.nextInt(Math.min(140, pages - first) + 1);
      dirty.mark(0, first, count);
      expected.set(first, first + count);
    }
    assertThat(dirty.count()).isEqualTo(expected.cardinality());
    BitSet drained = new BitSet(pages);
    long[] lastEnd = {-1};
    dirty.drainTo(
        (region, first, count) -> {
          assertThat(first).as("runs are maximal and ascend").isGreaterThan(lastEnd[0]);
          lastEnd[0] = first + count;
          drained.set((int) first, (int) (first + count));
        });
    assertThat(drained).isEqualTo(expected);
  }

  private static List<String> drain(DirtyPages dirty) throws IOException {
    List<String> runs = new ArrayList<>();
    dirty.drainTo((region, first, count) -> runs.add(region + ":" + first + "+" + count));
    return runs;
  }
}
