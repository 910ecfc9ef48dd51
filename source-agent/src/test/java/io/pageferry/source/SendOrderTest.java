package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.source.Convergence.Limits;
import io.pageferry.source.Convergence.Round;
import io.pageferry.source.Convergence.Verdict;
import java.io.IOException;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SendOrderTest {
  private static final int PAGES = 4096;

  /** Of a guest that is migrated: so many that a round tells what the link carries. */
  private static final int ALL = 1 << 16;

  /** A page a microsecond. */
  private static final long PAGE_NANOS = 1000;

  private static final long FIXED = TimeUnit.MICROSECONDS.toNanos(800);
  private static final long DOWNTIME = TimeUnit.MICROSECONDS.toNanos(6400);

  private final DirtyPages lacking = new DirtyPages(new long[] {PAGES, 64});
  private final SendOrder order = new SendOrder(new long[] {PAGES, 64}, lacking);

  private static List<String> drain(DirtyPages pages) throws IOException {
    List<String> runs = new ArrayList<>();
    pages.drainTo((region, first, count) -> runs.add(region + ":" + first + "+" + count));
    return runs;
  }

  @Test
  void whatWasWrittenInTwoRoundsWaitsForOneWithoutAWrite() throws IOException {
    order.written(0, 10, 4);
    order.written(1, 60, 4);
    assertThat(drain(order.next(100))).containsExactly("0:10+4", "1:60+4");

    order.written(0, 12, 4);
    order.written(1, 63, 1);
    assertThat(drain(order.next(100))).containsExactly("0:14+2");
    assertThat(order.waited()).isEqualTo(3);
    assertThat(lacking.count()).isEqualTo(3);

    order.written(0, 13, 1);
    assertThat(order.calm()).isEqualTo(2);
    assertThat(drain(order.next(100))).containsExactly("0:12+1", "1:63+1");
    assertThat(order.waited()).isEqualTo(1);

    assertThat(order.calm()).isEqualTo(1);
    assertThat(drain(order.next(100))).containsExactly("0:13+1");
    assertThat(order.waited()).isZero();
    assertThat(lacking.count()).isZero();
  }

  @Test
  void noMoreWaitThanMay() throws IOException {
    order.written(0, 0, 200);
    drain(order.next(100));
    order.written(0, 0, 200);
    assertThat(drain(order.next(100))).containsExactly("0:100+100");
    order.written(0, 0, 200);
    assertThat(drain(order.next(0))).containsExactly("0:0+200");
  }

  @Test
  void whatACutRoundDidNotSendIsNotHeldBackForIt() throws IOException {
    order.written(0, 0, 8);
    drain(order.next(100));
    lacking.mark(0, 4, 4);
    assertThat(drain(order.next(100))).containsExactly("0:4+4");
  }

  /** Any pattern of writes, any limits: what the target lacks is to be sent, and nothing else. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void noPageIsEverLost(long seed) throws IOException {
    Random random = new Random(seed);
    BitSet stale = new BitSet(PAGES);
    for (int round = 0; round < 30; round++) {
      for (int write = random.nextInt(60); write > 0; write--) {
        int first = random.nextInt(random.nextBoolean() ? 100 : PAGES - 64);
        int count = 1 + random.nextInt(64);
        order.written(0, first, count);
        stale.set(first, first + count);
      }
      assertThat(lacking.count()).isEqualTo(stale.cardinality());
      long may = random.nextInt(300);
      order
          .next(may)
          .drainTo(
              (region, first, count) -> {
                BitSet sent = new BitSet(PAGES);
                sent.set((int) first, (int) (first + count));
                assertThat(sent.stream().allMatch(stale::get)).isTrue();
                stale.andNot(sent);
              });
      assertThat(order.waited()).isEqualTo(stale.cardinality()).isLessThanOrEqualTo(may);
    }
    BitSet rest = new BitSet(PAGES);
    lacking.drainTo((region, first, count) -> rest.set((int) first, (int) (first + count)));
    assertThat(rest).isEqualTo(stale);
  }

  /** What a migration of a scripted guest came to. */
  private record Outcome(long sent, long inThePause, long heldBack, Verdict verdict) {}

  /** What a guest writes in so many nanoseconds, from a given time on. */
  private interface Guest {
    void write(long from, long nanos, BitSet written);
  }

  /**
   * A guest with a hot spot: its pages are written all over every time, and of the rest one page
   * after the other.
   */
  private static Guest hotSpot(int hot, long nanosPerColdPage) {
    return (from, nanos, written) -> {
      if (nanos >= hot * 2L) {
        written.set(0, hot);
      }
      for (long page = from / nanosPerColdPage; page < (from + nanos) / nanosPerColdPage; page++) {
        written.set(hot + (int) (page % (ALL - hot)));
      }
    };
  }

  /** As {@link PreCopy} goes, on a link that carries a page a microsecond. */
  private static Outcome move(Guest guest, boolean holdBack) throws IOException {
    Convergence convergence = new Convergence(new Limits(30, 100, 256, DOWNTIME, ALL * 4096L));
    DirtyPages lacking = new DirtyPages(new long[] {ALL});
    SendOrder order = new SendOrder(new long[] {ALL}, lacking);
    BitSet stale = new BitSet(ALL);
    stale.set(0, ALL);
    BitSet work = (BitSet) stale.clone();
    long time = 0;
    long sent = 0;
    long heldBack = 0;
    while (true) {
      long pages = work.cardinality();
      stale.andNot(work);
      BitSet written = new BitSet(ALL);
      guest.write(time, pages * PAGE_NANOS, written);
      time += pages * PAGE_NANOS;
      sent += pages;
      stale.or(written);
      written.stream().forEach(page -> order.written(0, page, 1));
      heldBack += order.waited();
      assertThat(lacking.count()).isEqualTo(stale.cardinality());
      Convergence.Decision decision =
          convergence.after(
              new Round(
                  pages,
                  pages * 4096,
                  pages * PAGE_NANOS,
                  lacking.count(),
                  order.waited(),
                  order.calm()),
              FIXED);
      if (decision.verdict() != Verdict.NEXT_ROUND) {
        return new Outcome(sent + lacking.count(), lacking.count(), heldBack, decision.verdict());
      }
      work = new BitSet(ALL);
      BitSet next = work;
      order
          .next(holdBack ? convergence.mayWait(FIXED) : 0)
          .drainTo((region, first, count) -> next.set((int) first, (int) (first + count)));
      assertThat(order.waited() * PAGE_NANOS + FIXED).isLessThanOrEqualTo(DOWNTIME);
    }
  }

  @Test
  void aHotSpotThatFitsThePauseIsSentFewerTimes() throws IOException {
    // Hot pages that fit, and so many others that rounds with both do not become short.
    Guest guest = hotSpot(4000, 2500);
    Outcome plain = move(guest, false);
    Outcome held = move(guest, true);
    assertThat(held.heldBack()).isPositive();
    assertThat(held.sent()).isLessThan(plain.sent());
    assertThat(held.verdict()).isEqualTo(Verdict.SWITCH_OVER);
    assertThat(held.inThePause() * PAGE_NANOS + FIXED).isLessThanOrEqualTo(DOWNTIME);
  }

  @Test
  void aHotSpotThatDoesNotFitStallsAsItDidAndIsSentFewerTimes() throws IOException {
    Guest guest = hotSpot(16_000, 5000);
    Outcome plain = move(guest, false);
    Outcome held = move(guest, true);
    assertThat(plain.verdict()).isEqualTo(Verdict.STALLED);
    assertThat(held.verdict()).isEqualTo(Verdict.STALLED);
    assertThat(held.sent()).isLessThan(plain.sent());
  }

  @Test
  void whereEachRoundIsMuchShorterNothingWaits() throws IOException {
    Guest guest = hotSpot(160, 4000);
    Outcome plain = move(guest, false);
    Outcome held = move(guest, true);
    assertThat(held).isEqualTo(plain);
    assertThat(held.heldBack()).isZero();
  }

  /** The pages seem hot for three rounds and then nobody writes them any more. */
  @Test
  void whatWaitedInVainIsSentBeforeThePause() throws IOException {
    Guest guest =
        (from, nanos, written) -> {
          if (from < (ALL + 9600) * PAGE_NANOS) {
            written.set(0, 4800);
            written.set(16_000, 17_920);
          } else {
            int cold = 32_000 + (int) (from / PAGE_NANOS % 100) * 320;
            written.set(cold, cold + 320);
          }
        };
    Outcome held = move(guest, true);
    assertThat(held.verdict()).isEqualTo(Verdict.SWITCH_OVER);
    assertThat(held.heldBack()).isPositive();
    assertThat(held.inThePause()).isLessThan(1600);
  }
}
