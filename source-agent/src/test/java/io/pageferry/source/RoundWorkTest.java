package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.protocol.message.DirtySummary;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.PageSpan;
import java.io.IOException;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RoundWorkTest {

  @Test
  void scatteredPagesTravelTogetherAndLongRunsAreCut() {
    RoundWork work = new RoundWork(Limits.CURRENT);
    for (int page = 0; page < 100; page += 2) {
      work.add(0, page, 1);
    }
    work.add(1, 1000, 100);

    RoundWork.Piece piece = new RoundWork.Piece();
    assertThat(work.take(piece)).isTrue();
    assertThat(piece.runs()).isEqualTo(50);
    assertThat(work.take(piece)).isTrue();
    assertThat(piece.region()).isEqualTo(1);
    assertThat(piece.runs()).isEqualTo(1);
    assertThat(piece.pages()).isEqualTo(RoundWork.PIECE_PAGES);
    assertThat(work.take(piece)).isTrue();
    assertThat(piece.firstPage(0)).isEqualTo(1064);
    assertThat(piece.pages()).isEqualTo(36);
    assertThat(work.take(piece)).isFalse();
  }

  @Test
  void theSummaryCountsEachRegionHolesIncluded() {
    RoundWork work = new RoundWork(Limits.CURRENT);
    work.add(0, 0, 100);
    work.add(2, 7, 1);
    work.addHoles(2, List.of(new PageSpan(8, 1000)));
    assertThat(work.summary(3))
        .containsExactly(
            new DirtySummary(3, 0, 100, List.of()), new DirtySummary(3, 2, 1001, List.of()));
  }

  @Test
  void aTargetWithLowerLimitsGetsSmallerPieces() {
    Limits low = new Limits(Limits.MIN_PAYLOAD_BYTES, 1, Limits.MIN_RUNS_PER_BATCH);
    RoundWork work = new RoundWork(low);
    work.add(0, 0, 64);
    for (int page = 100; page < 200; page += 2) {
      work.add(0, page, 1);
    }
    RoundWork.Piece piece = new RoundWork.Piece();
    int pages = 0;
    while (work.take(piece)) {
      assertThat(piece.pages() * 4096).isLessThan(Limits.MIN_PAYLOAD_BYTES);
      assertThat(piece.runs()).isLessThanOrEqualTo(Limits.MIN_RUNS_PER_BATCH);
      pages += piece.pages();
    }
    assertThat(pages).isEqualTo(64 + 50);
  }

  @Test
  void whatACutLeavesIsNotSentAndNotLost() throws IOException {
    RoundWork work = new RoundWork(Limits.CURRENT);
    work.add(0, 0, 200);
    work.add(1, 7, 3);
    RoundWork.Piece piece = new RoundWork.Piece();
    assertThat(work.take(piece)).isTrue();
    DirtyPages rest = new DirtyPages(new long[] {200, 10});
    work.cut(rest::mark);
    assertThat(work.take(piece)).isFalse();
    assertThat(work.pages()).isEqualTo(64);
    assertThat(rest.count()).isEqualTo(139);
  }

  @ParameterizedTest
  @ValueSource(longs = {11, 12, 13, 14})
  void everyPageIsTakenExactlyOnce(long seed) {
    Random random = new Random(seed);
    RoundWork work = new RoundWork(Limits.CURRENT);
    BitSet expected = new BitSet();
    for (int page = 0; page < 20_000; ) {
      int count = 1 + random.nextInt(random.nextBoolean() ? 3 : 300);
      work.add(0, page, count);
      expected.set(page, page + count);
      page += count + random.nextInt(3);
    }
    assertThat(work.pages()).isEqualTo(expected.cardinality());
    BitSet taken = new BitSet();
    RoundWork.Piece piece = new RoundWork.Piece();
    while (work.take(piece)) {
      assertThat(piece.pages()).isBetween(1, RoundWork.PIECE_PAGES);
      for (int run = 0; run < piece.runs(); run++) {
        int first = (int) piece.firstPage(run);
        assertThat(taken.get(first, first + piece.count(run)).isEmpty()).isTrue();
        taken.set(first, first + piece.count(run));
      }
    }
    assertThat(taken).isEqualTo(expected);
  }
}
