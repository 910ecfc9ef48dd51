package io.pageferry.guest.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MissingPagesTest {
  private static final List<Long> SIZES = List.of(1000L, 64L, 1L, 777L);

  @TempDir private Path folder;

  @Test
  void holdsWhatAPlainSetHoldsAndStillDoesWhenReopened() throws IOException {
    MissingPages missing = MissingPages.create(folder.resolve("missing"), SIZES);
    List<BitSet> plain = new ArrayList<>();
    SIZES.forEach(size -> plain.add(new BitSet()));
    Random random = new Random(7);
    for (int i = 0; i < 3000; i++) {
      int region = random.nextInt(SIZES.size());
      int size = SIZES.get(region).intValue();
      int first = random.nextInt(size);
      int count = 1 + random.nextInt(Math.min(200, size - first));
      BitSet set = plain.get(region);
      if (random.nextBoolean()) {
        missing.add(region, first, count);
        set.set(first, first + count);
      } else {
        assertThat(missing.remove(region, first, count))
            .isEqualTo(set.get(first, first + count).cardinality());
        set.clear(first, first + count);
      }
      int page = random.nextInt(size);
      assertThat(missing.contains(region, page)).isEqualTo(set.get(page));
      int next = set.nextSetBit(page);
      assertThat(missing.nextMissing(region, page, size)).isEqualTo(next < 0 ? size : next);
      assertThat(missing.nextPresent(region, page, size))
          .isEqualTo(Math.min(size, set.nextClearBit(page)));
    }
    requireEqual(missing, plain);
    // Not closed, not forced: as a process that is killed leaves it.
    requireEqual(MissingPages.reopen(folder.resolve("missing"), SIZES), plain);
  }

  @Test
  void manyPagesAtOnceAreTheSameAsEachByItself() throws IOException {
    for (int first = 0; first < 130; first += 13) {
      for (int count = 1; first + count <= 1000; count += 61) {
        MissingPages missing = MissingPages.create(folder.resolve("missing"), SIZES);
        missing.add(0, first, count);
        BitSet named = new BitSet();
        named.set(first, first + count);
        requireEqual(missing, List.of(named, new BitSet(), new BitSet(), new BitSet()));
      }
    }
  }

  private static void requireEqual(MissingPages missing, List<BitSet> plain) throws IOException {
    long all = 0;
    for (int region = 0; region < SIZES.size(); region++) {
      BitSet found = new BitSet();
      missing.forEachRun(
          region, (same, first, count) -> found.set((int) first, (int) (first + count)));
      assertThat(found).isEqualTo(plain.get(region));
      assertThat(missing.count(region)).isEqualTo(found.cardinality());
      all += found.cardinality();
    }
    assertThat(missing.count()).isEqualTo(all);
  }

  @Test
  void eachPageIsTakenOutByOneThreadOnly() {
    MissingPages missing = created(List.of(100_000L));
    missing.add(0, 0, 100_000);
    AtomicLong removed = new AtomicLong();
    List<CompletableFuture<Void>> threads = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      int seed = i;
      threads.add(
          CompletableFuture.runAsync(
              () -> {
                Random random = new Random(seed);
                for (int j = 0; j < 20_000; j++) {
                  removed.addAndGet(missing.remove(0, random.nextInt(99_990), 10));
                }
                removed.addAndGet(missing.remove(0, 0, 100_000));
              }));
    }
    threads.forEach(CompletableFuture::join);
    assertThat(removed).hasValue(100_000);
    assertThat(missing.count()).isZero();
  }

  private MissingPages created(List<Long> sizes) {
    try {
      return MissingPages.create(folder.resolve("missing"), sizes);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void aFileOfAnotherGuestOrCutShortIsRefused() throws IOException {
    Path file = folder.resolve("missing");
    created(SIZES);
    assertThatThrownBy(() -> MissingPages.reopen(file, List.of(1000L, 64L, 1L, 778L)))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("does not list the missing pages of this guest");
    assertThatThrownBy(() -> MissingPages.reopen(file, List.of(1000L)))
        .isInstanceOf(IOException.class);
    byte[] bytes = Files.readAllBytes(file);
    bytes[0]++;
    Files.write(file, bytes);
    assertThatThrownBy(() -> MissingPages.reopen(file, SIZES)).isInstanceOf(IOException.class);
    assertThatThrownBy(() -> MissingPages.reopen(folder.resolve("none"), SIZES))
        .isInstanceOf(IOException.class);
  }

  @Test
  void aRangeBeyondTheRegionIsRefused() {
    MissingPages missing = created(SIZES);
    assertThatThrownBy(() -> missing.add(1, 60, 5)).isInstanceOf(IndexOutOfBoundsException.class);
  }
}
