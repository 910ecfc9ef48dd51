package io.pageferry.target.reception;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.protocol.page.ImageLayout;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;

class EarlierPagesTest {
  private static final int PAGES = 200;

  private final EarlierPages pages =
      new EarlierPages(
          new ImageLayout(
              List.of(new ImageLayout.Region("a", 1), new ImageLayout.Region("b", PAGES))));

  @Test
  void aPageIsTakenOnceAndOnlyIfItWasNamed() {
    assertThat(pages.take(1, 70, 1)).isFalse();
    pages.name(1, 70);
    assertThat(pages.take(0, 0, 1)).isFalse();
    assertThat(pages.take(1, 70, 2)).as("the second was not named").isFalse();
    assertThat(pages.take(1, 70, 1)).isTrue();
    assertThat(pages.take(1, 70, 1)).isFalse();
  }

  @Test
  void aPageThatHasLandedIsNotTakenAlsoIfItIsNamedAfterwards() {
    pages.landed(1, 0, PAGES);
    pages.name(1, 63);
    assertThat(pages.take(1, 63, 1)).isFalse();
  }

  /** Any order of all three, against plain sets. */
  @Test
  void runsAreWhatTheirPagesAre() {
    Random random = new Random(1);
    Set<Integer> named = new HashSet<>();
    Set<Integer> landed = new HashSet<>();
    for (int step = 0; step < 5000; step++) {
      int first = random.nextInt(PAGES);
      int count = 1 + random.nextInt(Math.min(80, PAGES - first));
      Set<Integer> run = new HashSet<>();
      for (int page = first; page < first + count; page++) {
        run.add(page);
      }
      switch (random.nextInt(8)) {
        case 0 -> {
          pages.landed(1, first, 1);
          landed.add(first);
        }
        case 1 -> {
          boolean may = named.containsAll(run) && run.stream().noneMatch(landed::contains);
          assertThat(pages.take(1, first, count)).isEqualTo(may);
          if (may) {
            landed.addAll(run);
          }
        }
        default -> {
          pages.name(1, first);
          named.add(first);
        }
      }
    }
    assertThat(landed).hasSizeGreaterThan(PAGES / 2);
  }
}
