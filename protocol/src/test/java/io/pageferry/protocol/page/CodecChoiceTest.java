package io.pageferry.protocol.page;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.EnumMap;
import java.util.EnumSet;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Choices on links that are arithmetic; times are nanoseconds, rates bytes a nanosecond. */
class CodecChoiceTest {
  private static final long BATCH = 256 << 10;
  private static final long MEBI = 1 << 20;
  private static final double MEGABIT = 1e6 / 8 / 1e9;

  /** A sender, its cores, its link and its content; all of it may change at any time. */
  private static class Line {
    final CodecChoice choice;
    final Map<PageCodec, Double> cost = new EnumMap<>(PageCodec.class);
    final Map<PageCodec, Double> size = new EnumMap<>(PageCodec.class);
    final Map<PageCodec, Long> sent = new EnumMap<>(PageCodec.class);
    double base = 0.15;
    double rate;

    /** What the other side needs for a byte of memory. */
    double landing;

    /** What waits unsent at most. */
    double buffer = 4 * MEBI;

    long sampled;
    double clock;
    private double linkFree;

    Line(double rate, PageCodec... codecs) {
      this(rate, false, codecs);
    }

    Line(double rate, boolean slowLink, PageCodec... codecs) {
      this.rate = rate;
      choice =
          new CodecChoice(
              codecs.length == 0 ? EnumSet.allOf(PageCodec.class) : EnumSet.copyOf(Set.of(codecs)),
              slowLink);
      costs(0.7, 2.2);
      sizes(0.5, 0.35);
    }

    Line costs(double lz4, double zstd) {
      cost.put(PageCodec.RAW, 0.0);
      cost.put(PageCodec.LZ4, lz4);
      cost.put(PageCodec.ZSTD, zstd);
      return this;
    }

    Line sizes(double lz4, double zstd) {
      size.put(PageCodec.RAW, 1.0);
      size.put(PageCodec.LZ4, lz4);
      size.put(PageCodec.ZSTD, zstd);
      return this;
    }

    /** Sends so much memory; returns what it took. */
    double send(long bytes) {
      double begin = clock;
      for (long done = 0; done < bytes; done += BATCH) {
        PageCodec codec = choice.codec();
        double packing = BATCH * cost(codec);
        choice.packed(BATCH, (long) (BATCH * size(codec)), (long) packing);
        double work = BATCH * base + packing;
        PageCodec due = choice.due();
        if (due != null) {
          long some = CodecChoice.SAMPLE_PAGES * PageBatch.PAGE_BYTES;
          choice.sampled(due, some, (long) (some * size(due)), (long) (some * cost(due)));
          work += some * cost(due);
          sampled += some;
        }
        double wait = handOver(work, BATCH * size(codec));
        choice.delivered((long) (BATCH * size(codec)), (long) work, (long) wait);
        sent.merge(codec, BATCH, Long::sum);
      }
      return clock - begin;
    }

    private double handOver(double work, double wire) {
      clock += work;
      double perBatch = Math.max(wire / rate, BATCH * landing);
      linkFree = Math.max(clock, linkFree) + perBatch;
      double wait = Math.max(0, linkFree - clock - buffer / wire * perBatch);
      clock += wait;
      return wait;
    }

    double cost(PageCodec codec) {
      return cost.getOrDefault(codec, 0.0);
    }

    double size(PageCodec codec) {
      return size.getOrDefault(codec, 1.0);
    }

    /** What a byte takes by the best single codec. */
    double best() {
      double best = Double.POSITIVE_INFINITY;
      for (PageCodec codec : PageCodec.values()) {
        double work = base + cost(codec);
        best = Math.min(best, Math.max(work, Math.max(size(codec) / rate, landing)));
      }
      return best;
    }
  }

  @ParameterizedTest
  @CsvSource({"100, ZSTD", "1000, ZSTD", "4000, LZ4", "12000, RAW", "40000, RAW"})
  void whatIsFastestOnALinkIsFoundSoonAndKept(double megabits, PageCodec best) {
    Line line = new Line(megabits * MEGABIT);
    line.send(64 * MEBI);
    line.sent.clear();
    line.send(1024 * MEBI);
    assertThat(line.sent.getOrDefault(best, 0L)).isGreaterThan(1024 * MEBI * 97 / 100);
  }

  @Test
  void aLinkThatIsKnownToBeSlowGetsZstdFromTheFirstPageOn() {
    // A byte takes 28 ns on the link; half of that is no reason to look for less work.
    Line line = new Line(100 * MEGABIT, true).costs(0.7, 14);
    assertThat(line.choice.codec()).isEqualTo(PageCodec.ZSTD);
    line.send(512 * MEBI);
    // Until the buffers are full nothing shows that the link is slow.
    assertThat(line.sent.getOrDefault(PageCodec.ZSTD, 0L)).isGreaterThan(510 * MEBI);
  }

  @Test
  void aCoreThatHasNoTimeForZstdIsSparedItOnASlowLinkToo() {
    Line line = new Line(100 * MEGABIT, true).costs(2, 80);
    line.send(256 * MEBI);
    line.sent.clear();
    line.send(1024 * MEBI);
    assertThat(line.sent.getOrDefault(PageCodec.LZ4, 0L)).isGreaterThan(1024 * MEBI * 9 / 10);
  }

  /** As a guest's memory does: here a file that is packed already, there a heap. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 5, 7, 11, 20})
  void contentThatShrinksHereAndThereIsNotTakenForABadCodec(long mebibytes) {
    Line line = new Line(100 * MEGABIT);
    for (long sent = 0; sent < 512; sent += 2 * mebibytes) {
      line.sizes(0.5, 0.35);
      line.send(mebibytes * MEBI);
      line.sizes(1, 1);
      line.send(mebibytes * MEBI);
    }
    assertThat(line.sent.getOrDefault(PageCodec.ZSTD, 0L))
        .describedAs("%s", line.sent)
        .isGreaterThan(512 * MEBI * 8 / 10);
  }

  /** What does not shrink costs a codec less time than what does. */
  @ParameterizedTest
  @ValueSource(longs = {4, 16, 32, 64, 128})
  void whereRawPagesAreFastestNoiseInBetweenBringsNoOtherCodec(long mebibytes) {
    Line line = new Line(1 / 0.85);
    line.base = 0.35;
    double took = 0;
    for (long sent = 0; sent < 2048; sent += 2 * mebibytes) {
      line.costs(0.7, 2.5).sizes(0.5, 0.35);
      took += line.send(mebibytes * MEBI);
      line.costs(0.25, 0.8).sizes(1, 1);
      took += line.send(mebibytes * MEBI);
    }
    assertThat(took / (2048 * MEBI)).describedAs("%s", line.sent).isLessThan(1.05 * 0.85);
  }

  /** From a link on which everything pays to one on which nothing does, with any costs. */
  @ParameterizedTest
  @ValueSource(doubles = {20, 100, 300, 1000, 2500, 5000, 10_000, 20_000, 60_000})
  void nothingIsMuchSlowerThanTheBestSingleCodec(double megabits) {
    for (double[] costs : new double[][] {{0.3, 1}, {0.7, 2.2}, {0.7, 8}, {3, 10}}) {
      for (double[] sizes : new double[][] {{0.5, 0.35}, {0.9, 0.6}, {1, 1}, {0.1, 0.08}}) {
        Line line = new Line(megabits * MEGABIT).costs(costs[0], costs[1]);
        line.sizes(sizes[0], sizes[1]);
        line.send(64 * MEBI);
        double took = line.send(1024 * MEBI);
        assertThat(took / (1024 * MEBI))
            .describedAs("costs %s, sizes %s: %s", line.cost, line.size, line.sent)
            .isLessThan(1.05 * line.best());
      }
    }
  }

  @Test
  void aLinkThatBecomesFastGetsRawPagesAndOneThatBecomesSlowZstd() {
    Line line = new Line(100 * MEGABIT);
    line.send(64 * MEBI);
    for (int time = 0; time < 3; time++) {
      assertThat(line.choice.codec()).isEqualTo(PageCodec.ZSTD);
      line.rate = 20_000 * MEGABIT;
      line.send(48 * MEBI);
      assertThat(line.choice.codec()).isEqualTo(PageCodec.RAW);
      line.rate = 100 * MEGABIT;
      line.send(256 * MEBI);
    }
  }

  @Test
  void otherContentIsNoticed() {
    Line line = new Line(1000 * MEGABIT).sizes(1, 1);
    line.send(256 * MEBI);
    for (int time = 0; time < 3; time++) {
      line.sizes(0.5, 0.35);
      line.send(48 * MEBI);
      assertThat(line.choice.codec()).isEqualTo(PageCodec.ZSTD);
      // Noise that is passed through costs nothing and may stay with any codec.
      line.sizes(1, 1);
      line.send(64 * MEBI);
    }
  }

  @Test
  void coresThatHaveNothingLeftAreNotAskedForMore() {
    Line line = new Line(1000 * MEGABIT);
    line.send(64 * MEBI);
    assertThat(line.choice.codec()).isEqualTo(PageCodec.ZSTD);
    line.base = 0.6;
    line.costs(2.8, 9);
    line.send(64 * MEBI);
    assertThat(line.choice.codec()).isEqualTo(PageCodec.LZ4);
    line.base = 2;
    line.costs(12, 40);
    line.send(64 * MEBI);
    assertThat(line.choice.codec()).isEqualTo(PageCodec.RAW);
    line.base = 0.15;
    line.costs(0.7, 2.2);
    // What took long until now is seldom tried.
    line.send(512 * MEBI);
    assertThat(line.choice.codec()).isEqualTo(PageCodec.ZSTD);
  }

  /** The sender waits, but not for the link: less on the wire would not help. */
  @Test
  void waitingForTheOtherSidesWorkIsNotTakenForASlowLink() {
    Line line =
        new Line(40_000 * MEGABIT) {
          @Override
          double send(long bytes) {
            double begin = clock;
            for (long done = 0; done < bytes; done += BATCH) {
              landing = choice.codec() == PageCodec.RAW ? 0.5 : 1.2;
              super.send(BATCH);
            }
            return clock - begin;
          }
        };
    line.send(64 * MEBI);
    line.sent.clear();
    line.send(1024 * MEBI);
    assertThat(line.sent.getOrDefault(PageCodec.RAW, 0L)).isGreaterThan(1024 * MEBI * 97 / 100);
  }

  @Test
  void whatCannotPayIsHardlyEverTried() {
    Line line = new Line(20_000 * MEGABIT);
    line.send(1024 * MEBI);
    assertThat(line.sampled).isLessThan(1024 * MEBI / 400);
  }

  @ParameterizedTest
  @ValueSource(strings = {"RAW", "LZ4", "ZSTD"})
  void aSingleCodecIsNoChoice(PageCodec codec) {
    Line line = new Line(100 * MEGABIT, codec);
    line.send(64 * MEBI);
    line.rate = 40_000 * MEGABIT;
    line.send(64 * MEBI);
    assertThat(line.sent).containsOnlyKeys(codec);
    assertThat(line.sampled).isZero();
  }

  @Test
  void withoutZstdThereIsAChoiceToo() {
    Line line = new Line(1000 * MEGABIT, PageCodec.RAW, PageCodec.LZ4);
    line.send(64 * MEBI);
    assertThat(line.choice.codec()).isEqualTo(PageCodec.LZ4);
    line.rate = 40_000 * MEGABIT;
    line.send(64 * MEBI);
    assertThat(line.choice.codec()).isEqualTo(PageCodec.RAW);
    assertThat(line.sent).doesNotContainKey(PageCodec.ZSTD);
  }
}
