package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** When pages are offered by their digests: times are made up, as a clock would have them. */
class DeduplicationTest {
  private static final int PIECE = 64;
  private static final long PAGE = 4096;

  /** Of a link of 1 Gbit/s. */
  private static final long LINK_NANOS = 33_000;

  private static final long WORK_NANOS = 4_000;

  private static final long GIGABIT = 125_000_000;
  private static final long SLOW = 12_500_000;

  private int offered;
  private int pieces;

  /** Pages go out, each way by its own costs; the second half is counted. */
  private double shareOffered(Deduplication choice, Costs plain, Costs offering) {
    int all = 4000;
    for (int i = 0; i < all; i++) {
      Costs now = choice.offering() ? offering : plain;
      if (i >= all / 2) {
        pieces++;
        offered += choice.offering() ? 1 : 0;
      }
      choice.sent(PIECE, now.bytes * PIECE, now.nanos * PIECE, now.waitNanos * PIECE);
    }
    return (double) offered / pieces;
  }

  /** Of a page: bytes on the wire, what it took, and what of that the link was waited for. */
  private record Costs(long bytes, long nanos, long waitNanos) {}

  @Test
  void aLinkThatIsWaitedForIsWorthAnOffer() {
    Costs waiting = new Costs(PAGE, LINK_NANOS, LINK_NANOS - WORK_NANOS);
    Costs half = new Costs(PAGE / 2, LINK_NANOS / 2, LINK_NANOS / 2 - 2 * WORK_NANOS + 1000);
    assertThat(shareOffered(new Deduplication(false, 0, 1), waiting, half)).isGreaterThan(0.95);
  }

  @Test
  void aSenderThatHasNoTimeIsSparedTheHashing() {
    // Some 60 MB/s, but it is the processor and not the link that takes so long.
    Costs busy = new Costs(PAGE, 60_000, 2_000);
    Costs hashing = new Costs(PAGE, 90_000, 2_000);
    assertThat(shareOffered(new Deduplication(false, 0, 1), busy, hashing)).isZero();
  }

  @Test
  void whoSetsACapWantsFewerBytes() {
    Costs busy = new Costs(PAGE, 60_000, 2_000);
    Costs hashing = new Costs(PAGE, 90_000, 2_000);
    assertThat(shareOffered(new Deduplication(false, GIGABIT, 1), busy, hashing)).isEqualTo(1);
  }

  /** Of so many pieces of pages as long as that, so many of a hundred of which are there. */
  private static double shareOffered(
      Deduplication choice, int all, int pageBytes, int percentFound) {
    int times = 0;
    for (int i = 0; i < all; i++) {
      int found = 0;
      long digests = 0;
      if (choice.offering()) {
        digests = 32L * PIECE;
        times++;
        found = (i + 1) * percentFound * PIECE / 100 - i * percentFound * PIECE / 100;
        choice.answered(PIECE, found);
      }
      // The wait hides the hashing, however long that takes.
      choice.sent(
          PIECE, digests + (long) pageBytes * (PIECE - found), 5_000L * PIECE, 2_000L * PIECE);
    }
    return (double) times / all;
  }

  private static final int PACKED = 1200;
  private static final int ALL = 4000;

  @Test
  void underALowCapAnOfferIsWorthWhatItSaves() {
    assertThat(shareOffered(new Deduplication(false, SLOW, 1), ALL, PACKED, 20)).isEqualTo(1);
    assertThat(shareOffered(new Deduplication(false, SLOW, 1), ALL, PACKED, 95)).isEqualTo(1);
    assertThat(shareOffered(new Deduplication(false, SLOW, 1), ALL, PACKED, 100)).isEqualTo(1);
    assertThat(shareOffered(new Deduplication(false, SLOW, 1), ALL, PACKED, 4))
        .as("digests are more than that")
        .isBetween(0.1, 0.2);
    assertThat(shareOffered(new Deduplication(true, SLOW, 1), ALL, PACKED, 0))
        .as("told to")
        .isEqualTo(1);
  }

  /** Of a stretch of so many pages, all of which were offered, or none. */
  private static void stretch(Deduplication choice, int answered, int found) {
    choice.answered(answered, found);
    choice.sent(Deduplication.STRETCH_PAGES, Deduplication.STRETCH_PAGES * PAGE, 1_000_000_000, 0);
  }

  private static int silence(Deduplication choice) {
    int stretches = 0;
    while (!choice.offering()) {
      stretch(choice, 0, 0);
      stretches++;
    }
    return stretches;
  }

  @Test
  void pagesThatAreNotOfferedSayNothing() {
    Deduplication choice = new Deduplication(false, SLOW, 1);
    for (int pause = 1; pause <= 4; pause *= 2) {
      stretch(choice, Deduplication.STRETCH_PAGES, 0);
      assertThat(silence(choice)).isEqualTo(pause);
    }
    stretch(choice, 0, 0);
    assertThat(choice.offering()).isTrue();
    stretch(choice, Deduplication.STRETCH_PAGES, 0);
    assertThat(silence(choice)).as("as if nothing had been in between").isEqualTo(8);
  }

  @Test
  void whatWasFoundInTheLastRoundIsForgotten() {
    Deduplication choice = new Deduplication(false, SLOW, 1);
    choice.answered(PIECE, PIECE);
    choice.beginRound();
    stretch(choice, Deduplication.STRETCH_PAGES, 0);
    assertThat(choice.offering()).isFalse();
  }

  @Test
  void whereGuestsBeginToBeAlikeOffersComeBack() {
    Deduplication choice = new Deduplication(false, SLOW, 1);
    var _ = shareOffered(choice, ALL, PACKED, 0);
    int stretch = Deduplication.STRETCH_PAGES / PIECE;
    var _ = shareOffered(choice, 20 * stretch, PACKED, 50);
    assertThat(shareOffered(choice, ALL, PACKED, 50)).isEqualTo(1);
  }

  @Test
  void anAnswerThatIsLongInComingIsComparedAndStaysWhereItIsTheQuickerWay() {
    // The link shows in the answers only: what goes out fits into the buffers on the way.
    Costs waiting = new Costs(PAGE, LINK_NANOS, LINK_NANOS - WORK_NANOS);
    Costs found = new Costs(PAGE / 3, LINK_NANOS / 3 + WORK_NANOS, 100);
    assertThat(shareOffered(new Deduplication(false, 0, 1), waiting, found)).isGreaterThan(0.9);
  }

  @Test
  void anAnswerThatIsLongInComingFromABusyTargetIsGivenUp() {
    Costs waiting = new Costs(PAGE, LINK_NANOS, LINK_NANOS - WORK_NANOS);
    Costs late = new Costs(PAGE, 2 * LINK_NANOS, 100);
    assertThat(shareOffered(new Deduplication(false, 0, 1), waiting, late)).isLessThan(0.1);
  }

  @Test
  void aTargetThatIsWaitedForInsteadOfTheLinkIsNotGivenMoreToDo() {
    Costs waiting = new Costs(PAGE, LINK_NANOS, LINK_NANOS - WORK_NANOS);
    Costs hashing = new Costs(PAGE, LINK_NANOS * 3 / 2, LINK_NANOS);
    assertThat(shareOffered(new Deduplication(false, 0, 1), waiting, hashing)).isLessThan(0.1);
  }

  @Test
  void channelsShareTheLink() {
    // 60 MB/s each.
    Costs waiting = new Costs(PAGE, 65_000, 60_000);
    assertThat(shareOffered(new Deduplication(false, 0, 1), waiting, waiting)).isPositive();
    offered = 0;
    pieces = 0;
    assertThat(shareOffered(new Deduplication(false, 0, 4), waiting, waiting)).isZero();
  }

  @Test
  void aFastLinkIsLeftAlone() {
    Costs fast = new Costs(PAGE, WORK_NANOS, WORK_NANOS / 2);
    assertThat(shareOffered(new Deduplication(false, 0, 1), fast, fast)).isZero();
  }

  @Test
  void toldToItOffersAlways() {
    Costs fast = new Costs(PAGE, WORK_NANOS, 0);
    assertThat(shareOffered(new Deduplication(true, 0, 1), fast, fast)).isEqualTo(1);
  }
}
