package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ComingPagesTest {
  private static final int PIECE = 15;

  private final ComingPages coming = new ComingPages(PIECE);
  private final RoundWork.Piece piece = new RoundWork.Piece();

  /** Any pages of three regions, ascending for the most part, as the answers come. */
  @Test
  void whatWasPutOffComesOnceInPiecesThatAscend() {
    Random random = new Random(1);
    for (int walk = 0; walk < 200; walk++) {
      coming.clear();
      List<Long> added = new ArrayList<>();
      long page = 0;
      int region = 0;
      for (int i = random.nextInt(200); i > 0; i--) {
        page = random.nextInt(20) == 0 ? 0 : page + 1 + random.nextInt(3) / 2;
        region = random.nextInt(30) == 0 ? random.nextInt(3) : region;
        coming.add(region, page);
        added.add(region * 1000L + page);
      }
      List<Long> taken = new ArrayList<>();
      while (coming.take(piece)) {
        assertThat(piece.pages()).isBetween(1, PIECE);
        long next = 0;
        for (int run = 0; run < piece.runs(); run++) {
          assertThat(piece.firstPage(run)).isGreaterThanOrEqualTo(next);
          next = piece.firstPage(run) + piece.count(run);
          for (long each = piece.firstPage(run); each < next; each++) {
            taken.add(piece.region() * 1000L + each);
          }
        }
      }
      assertThat(taken).isEqualTo(added);
    }
  }

  @Test
  void neighboursAreOneRun() {
    for (int page = 5; page < 9; page++) {
      coming.add(0, page);
    }
    assertThat(coming.take(piece)).isTrue();
    assertThat(piece.runs()).isEqualTo(1);
    assertThat(piece.count(0)).isEqualTo(4);
    assertThat(coming.take(piece)).isFalse();
  }
}
