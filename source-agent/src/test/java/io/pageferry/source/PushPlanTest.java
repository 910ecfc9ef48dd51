package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.protocol.message.Limits;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(180)
class PushPlanTest {
  private static final int PAGES = 16_384;

  private final RoundWork.Piece piece = new RoundWork.Piece();

  private static UnsentPages all(long... regionPages) {
    UnsentPages unsent = new UnsentPages(regionPages);
    for (int region = 0; region < regionPages.length; region++) {
      unsent.mark(region, 0, regionPages[region]);
    }
    return unsent;
  }

  private static PushPlan plan(UnsentPages unsent, PushMode mode) {
    return new PushPlan(unsent, mode, Limits.CURRENT);
  }

  /** The pages of the next so many pieces. */
  private List<Long> next(PushPlan plan, int pieces) {
    List<Long> pages = new ArrayList<>();
    for (int i = 0; i < pieces && plan.take(piece); i++) {
      for (int run = 0; run < piece.runs(); run++) {
        for (long page = 0; page < piece.count(run); page++) {
          pages.add(piece.firstPage(run) + page);
        }
      }
    }
    return pages;
  }

  @Test
  void activePushGoesFromTheFirstPageToTheLast() {
    PushPlan plan = plan(all(200), PushMode.ACTIVE);
    plan.touched(0, 150);
    List<Long> pages = next(plan, 100);
    assertThat(pages).hasSize(200).isSorted();
  }

  @Test
  void aFaultIsFollowedByItsNeighboursOnBothSides() {
    UnsentPages unsent = all(PAGES);
    PushPlan plan = plan(unsent, PushMode.PREPAGING);
    next(plan, 1);
    unsent.claim(0, 8000);
    plan.touched(0, 8000);
    assertThat(next(plan, 2)).contains(7999L, 8001L).allMatch(page -> Math.abs(page - 8000) <= 64);
  }

  @Test
  void severalPlacesGrowInTurn() {
    UnsentPages unsent = all(PAGES, PAGES);
    PushPlan plan = plan(unsent, PushMode.PREPAGING);
    plan.touched(0, 3000);
    plan.touched(0, 12_000);
    List<Long> pages = next(plan, 8);
    assertThat(pages).anyMatch(page -> Math.abs(page - 3000) < 100);
    assertThat(pages).anyMatch(page -> Math.abs(page - 12_000) < 100);
    assertThat(pages)
        .allMatch(page -> Math.abs(page - 3000) < 200 || Math.abs(page - 12_000) < 200);
  }

  @Test
  void aWalkUpwardsIsPushedMostlyAhead() {
    UnsentPages unsent = all(PAGES);
    PushPlan plan = plan(unsent, PushMode.PREPAGING);
    long at = 5000;
    for (int i = 0; i < 6; i++) {
      plan.touched(0, at);
      List<Long> pages = next(plan, 1);
      at = Math.max(at, pages.stream().mapToLong(page -> page).max().orElseThrow()) + 1;
    }
    List<Long> pages = next(plan, 12);
    long start = at;
    long ahead = pages.stream().filter(page -> page >= start).count();
    assertThat(ahead).isGreaterThan(pages.size() * 2L / 3);
  }

  @Test
  void aPlaceThatIsForgottenIsSweptInTheEnd() {
    UnsentPages unsent = all(PAGES);
    PushPlan plan = plan(unsent, PushMode.PREPAGING);
    for (int i = 0; i < PushPlan.MAX_BUBBLES * 4; i++) {
      plan.touched(0, i * 500L);
    }
    assertThat(next(plan, PAGES)).hasSize(PAGES).doesNotHaveDuplicates();
    assertThat(unsent.count()).isZero();
  }

  @ParameterizedTest
  @EnumSource(
      value = PushMode.class,
      names = {"PREPAGING", "ACTIVE"})
  void whatIsScatteredTravelsTogether(PushMode mode) {
    UnsentPages unsent = new UnsentPages(new long[] {PAGES});
    for (int page = 0; page < PAGES; page += 3) {
      unsent.mark(0, page, 1);
    }
    PushPlan plan = plan(unsent, mode);
    assertThat(plan.take(piece)).isTrue();
    assertThat(piece.runs()).isGreaterThan(16);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void whateverIsTouchedEachPageIsTakenOnce(long seed) {
    Random random = new Random(seed);
    Limits low = new Limits(Limits.MIN_PAYLOAD_BYTES, 1, Limits.MIN_RUNS_PER_BATCH);
    long[] sizes = {1 + random.nextInt(3000), 1 + random.nextInt(70)};
    UnsentPages unsent = new UnsentPages(sizes);
    BitSet[] expected = {new BitSet(), new BitSet()};
    for (int region = 0; region < 2; region++) {
      for (int page = 0; page < sizes[region]; page++) {
        if (random.nextInt(3) > 0) {
          unsent.mark(region, page, 1);
          expected[region].set(page);
        }
      }
    }
    PushPlan plan = new PushPlan(unsent, PushMode.PREPAGING, low);
    while (plan.take(piece)) {
      assertThat(piece.pages()).isBetween(1, 15);
      assertThat(piece.runs()).isLessThanOrEqualTo(Limits.MIN_RUNS_PER_BATCH);
      long next = 0;
      for (int run = 0; run < piece.runs(); run++) {
        assertThat(piece.firstPage(run)).isGreaterThanOrEqualTo(next);
        next = piece.firstPage(run) + piece.count(run);
        for (long page = piece.firstPage(run); page < next; page++) {
          assertThat(expected[piece.region()].get((int) page)).isTrue();
          expected[piece.region()].clear((int) page);
        }
      }
      if (random.nextInt(3) == 0) {
        int region = random.nextInt(2);
        long page = random.nextInt((int) sizes[region]);
        plan.touched(region, page);
        if (unsent.claim(region, page)) {
          expected[region].clear((int) page);
        }
      }
    }
    assertThat(expected[0].isEmpty()).isTrue();
    assertThat(expected[1].isEmpty()).isTrue();
  }

  /** Pages a guest had to wait for, on a link that carries so many pages a touch. */
  private int faults(PushMode mode, double pagesATouch, Iterable<Integer> touches) {
    UnsentPages unsent = all(PAGES);
    PushPlan plan = plan(unsent, mode);
    BitSet there = new BitSet(PAGES);
    double credit = 0;
    int faults = 0;
    for (int page : touches) {
      if (!there.get(page)) {
        faults++;
        unsent.claim(0, page);
        plan.touched(0, page);
        there.set(page);
      }
      for (credit += pagesATouch; credit >= 64 && mode != PushMode.NONE; ) {
        List<Long> pushed = next(plan, 1);
        if (pushed.isEmpty()) {
          break;
        }
        pushed.forEach(each -> there.set((int) (long) each));
        credit -= pushed.size();
      }
    }
    return faults;
  }

  @Test
  void aSequentialWalkHardlyWaits() {
    List<Integer> walk = new ArrayList<>();
    for (int page = 0; page < PAGES; page++) {
      walk.add((page + 6000) % PAGES);
    }
    int demand = faults(PushMode.NONE, 2, walk);
    assertThat(demand).isEqualTo(PAGES);
    assertThat(faults(PushMode.PREPAGING, 2, walk)).isLessThan(demand / 20);
    // Downwards as well.
    List<Integer> back = walk.reversed();
    assertThat(faults(PushMode.PREPAGING, 2, back)).isLessThan(demand / 20);
  }

  @ParameterizedTest
  @ValueSource(longs = {21, 22, 23})
  void hotSpotsWaitLessThanHalfAsOften(long seed) {
    Random random = new Random(seed);
    int[] spots = {1000, 4500, 9000, 15_000};
    List<Integer> touches = new ArrayList<>();
    for (int i = 0; i < 20_000; i++) {
      int spot = spots[random.nextInt(spots.length)];
      touches.add(Math.clamp(Math.round(spot + random.nextGaussian() * 150), 0, PAGES - 1));
    }
    int demand = faults(PushMode.NONE, 1, touches);
    int active = faults(PushMode.ACTIVE, 1, touches);
    int prepaging = faults(PushMode.PREPAGING, 1, touches);
    assertThat(prepaging).isLessThan(demand / 2).isLessThan(active);
  }
}
