package io.pageferry.guest.fault;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pageferry.guest.fault.StagedGranules.Granule;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** How huge pages come together, with a landing that is not one. */
class StagedGranulesTest {
  private static final int PAGE = 4096;
  private static final int PAGES = 8;

  private final MissingPages missing;
  private final StagedGranules staged;

  StagedGranulesTest(@TempDir Path folder) throws IOException {
    missing = MissingPages.create(folder.resolve("missing"), List.of(64L));
    missing.add(0, 16, PAGES);
    staged = new StagedGranules(missing);
  }

  private static MemorySegment pages(int... values) {
    MemorySegment pages = Arena.ofAuto().allocate((long) values.length * PAGE);
    for (int i = 0; i < values.length; i++) {
      pages.asSlice((long) i * PAGE, PAGE).fill((byte) values[i]);
    }
    return pages;
  }

  private static int value(Granule granule, int page) {
    return granule.content().get(JAVA_BYTE, (long) page * PAGE + 77);
  }

  @Test
  void isReadyWhenNothingIsMissing() throws Exception {
    assertThat(staged.add(0, 16, PAGES, 6, pages(7, 8), 0)).isNull();
    assertThat(staged.add(0, 16, PAGES, 0, pages(1, 2, 3), 0)).isNull();
    assertThat(staged.add(0, 16, PAGES, 3, null, 2)).isNull();
    assertThat(staged.arrived(0, 16, 4)).isTrue();
    assertThat(staged.arrived(0, 16, 5)).isFalse();
    Granule whole = staged.add(0, 16, PAGES, 5, pages(6), 0);
    assertThat(whole).isNotNull();
    if (whole != null) {
      int[] expected = {1, 2, 3, 0, 0, 6, 7, 8};
      for (int i = 0; i < PAGES; i++) {
        assertThat(value(whole, i)).as("page %d", i).isEqualTo(expected[i]);
      }
      assertThat(staged.holds(0, 16, whole)).isTrue();
    }
    // The same page from elsewhere while it is being landed.
    assertThat(staged.add(0, 16, PAGES, 5, pages(9), 0)).isNull();
    staged.drop(0, 16, true);
    assertThat(staged.size()).isZero();
  }

  @Test
  void whatIsNotMissingIsZeroWhateverWasInTheBufferBefore() throws Exception {
    Granule first = staged.add(0, 16, PAGES, 0, pages(1, 1, 1, 1, 1, 1, 1, 1), 0);
    assertThat(first).isNotNull();
    staged.drop(0, 16, true);
    missing.add(0, 24, 1);
    missing.add(0, 31, 1);
    assertThat(staged.add(0, 24, PAGES, 7, pages(5), 0)).isNull();
    Granule second = staged.add(0, 24, PAGES, 0, pages(4), 0);
    assertThat(second).isNotNull();
    if (second != null) {
      int[] expected = {4, 0, 0, 0, 0, 0, 0, 5};
      for (int i = 0; i < PAGES; i++) {
        assertThat(value(second, i)).as("page %d", i).isEqualTo(expected[i]);
      }
    }
  }

  @Test
  void whatTheGuestGaveBackIsForgotten() throws Exception {
    assertThat(staged.add(0, 16, PAGES, 0, pages(1, 2, 3, 4, 5, 6, 7), 0)).isNull();
    staged.drop(0, 16, false);
    assertThat(staged.size()).isZero();
    Granule whole = staged.add(0, 16, PAGES, 0, pages(1, 1, 1, 1, 1, 1, 1, 1), 0);
    staged.drop(0, 16, false);
    assertThat(whole).isNotNull();
    if (whole != null) {
      assertThat(staged.holds(0, 16, whole)).isFalse();
      // Its buffer may still be in use by who lands it: the next granule gets another.
      Granule next = staged.add(0, 16, PAGES, 0, pages(2, 2, 2, 2, 2, 2, 2, 2), 0);
      assertThat(next).isNotNull();
      assertThat(value(whole, 0)).isEqualTo(1);
    }
  }

  @Test
  void zerosTakeNoMemoryAndPartsOfTooManyAreRefused() throws Exception {
    StagedGranules few = new StagedGranules(missing, 5L * PAGES * PAGE);
    missing.add(0, 0, 64);
    for (int granule = 0; granule < 8; granule++) {
      assertThat(few.add(0, (long) granule * PAGES, PAGES, 1, null, 3)).isNull();
    }
    for (int granule = 0; granule < 5; granule++) {
      assertThat(few.add(0, (long) granule * PAGES, PAGES, 0, pages(7), 0)).isNull();
    }
    assertThatThrownBy(() -> few.add(0, 5 * PAGES, PAGES, 0, pages(7), 0))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("more than 5 huge pages");
    Granule whole = few.add(0, 0, PAGES, 4, pages(5, 6, 7, 8), 0);
    assertThat(whole).isNotNull();
    if (whole != null) {
      int[] expected = {7, 0, 0, 0, 5, 6, 7, 8};
      for (int i = 0; i < PAGES; i++) {
        assertThat(value(whole, i)).as("page %d", i).isEqualTo(expected[i]);
      }
    }
    few.drop(0, 0, true);
    assertThat(few.add(0, 5 * PAGES, PAGES, 0, pages(7), 0)).isNull();
  }
}
