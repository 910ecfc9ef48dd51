package io.pageferry.source;

/**
 * Decides after each round whether to send another one, to switch over, or to give up.
 *
 * <p>The four stop conditions are those of the survey literature (number of rounds, bytes sent
 * beyond a multiple of the memory, few pages dirtied in the last round) and the one users ask for:
 * what remains fits the downtime limit, fixed costs included. A guest that meets one of the first
 * two without fitting the limit, or whose rounds no longer shrink, has stalled; what happens then
 * is the user's choice ({@code --on-stall}), within {@link Limits#maxRounds} rounds in any case.
 *
 * <p>Where the fixed costs alone exceed the limit no round helps, and neither does post-copy, which
 * has the same costs: the rounds then go on only until the pages cost less than that.
 *
 * <p>Pure arithmetic, no clock of its own. Threading: the driver thread only.
 */
final class Convergence implements RoundRule {
  /** Rounds in a row that brought nothing before a guest counts as stalled. */
  static final int FRUITLESS_ROUNDS = 3;

  /** A round that leaves more than this share of the best so far has brought nothing. */
  private static final double SHRINKS = 0.9;

  /** Another round is worth sending within the limit while it leaves at most this share. */
  private static final double PAYS = 0.5;

  /** A next round that takes this part of the last one is not much shorter. */
  private static final double LASTS = 0.5;

  /** The round in which pages can go as deltas that were sent again in the one before. */
  private static final int FIRST_OF_DELTAS = 3;

  /** Pages of a round that take less than this part of what they did in another go as deltas. */
  private static final double SHORT = 0.5;

  /** Prices of a page that differ by less are one. */
  private static final double SAME_PRICE = 0.02;

  /** Bytes over which the link's bandwidth is judged; less is mostly waiting for replies. */
  static final long MEANINGFUL_BYTES = 4L << 20;

  /** Pages over which their size on the wire is judged; fewer are mostly headers. */
  private static final long MEANINGFUL_PAGES = 256;

  /**
   * @param maxRounds rounds while the guest runs, at least 1
   * @param maxSentRatio bytes on the wire as a multiple of the guest's memory
   * @param dirtyThreshold pages; at most this many left means nothing is gained by another round
   * @param downtimeNanos how long the guest may stand still
   * @param memoryBytes the guest's memory
   */
  record Limits(
      int maxRounds,
      double maxSentRatio,
      long dirtyThreshold,
      long downtimeNanos,
      long memoryBytes) {}

  /**
   * One round as it went.
   *
   * @param pages sent in it
   * @param wireBytes what they took on the wire
   * @param nanos from its beginning to the target's acknowledgement
   * @param dirtyPages what is left: what the guest has dirtied meanwhile, and what waited
   * @param waitedPages what could have been sent in it and was not; see {@link SendOrder}
   * @param calmPages of these, what the guest did not dirty meanwhile
   * @param wholePages of the pages sent, those that did not go in part
   * @param wholeBytes what these took
   */
  record Round(
      long pages,
      long wireBytes,
      long nanos,
      long dirtyPages,
      long waitedPages,
      long calmPages,
      long wholePages,
      long wholeBytes) {
    /** A round in which nothing waited. */
    Round(long pages, long wireBytes, long nanos, long dirtyPages) {
      this(pages, wireBytes, nanos, dirtyPages, 0, 0);
    }

    /** A round in which all pages went whole. */
    Round(
        long pages, long wireBytes, long nanos, long dirtyPages, long waitedPages, long calmPages) {
      this(pages, wireBytes, nanos, dirtyPages, waitedPages, calmPages, pages, wireBytes);
    }

    /** The pages it was about, whether they were sent or not. */
    long concerned() {
      return pages + waitedPages;
    }

    /** What would be left had all of them been sent. */
    long lasting() {
      return dirtyPages - calmPages;
    }
  }

  enum Verdict {
    NEXT_ROUND,
    SWITCH_OVER,
    /** What is left takes little time, but the limit is exceeded without it. */
    OVER_LIMIT,
    STALLED
  }

  /**
   * @param reason why, as the log says it
   * @param expectedDowntimeNanos were the guest paused now
   */
  record Decision(Verdict verdict, String reason, long expectedDowntimeNanos) {}

  private final Limits limits;
  private int rounds;
  private int fruitless;
  private long wireBytes;
  private long bestLeft = Long.MAX_VALUE;
  private long lastNanos;
  private long lastLeft;
  private double bytesPerNano;
  private double bytesPerPage = 4096;
  private double mostBytesPerPage;

  Convergence(Limits limits) {
    this.limits = limits;
  }

  /** Bytes a second that the link carried in the last round that says something about it. */
  long bandwidth() {
    return (long) (bytesPerNano * 1e9);
  }

  /**
   * @param fixedCostNanos pause, device state, commit and start, as measured for this guest
   */
  @Override
  public Decision after(Round round, long fixedCostNanos) {
    rounds++;
    wireBytes += round.wireBytes();
    learn(round);
    long left = round.dirtyPages();
    boolean shrinks = round.lasting() < bestLeft * SHRINKS;
    boolean halves = round.lasting() <= round.concerned() * PAYS;
    fruitless = shrinks ? 0 : fruitless + 1;
    bestLeft = Math.min(bestLeft, round.lasting());
    lastNanos = round.nanos();
    lastLeft = left;

    long expected =
        fixedCostNanos
            + nanosFor(left - round.waitedPages(), bytesPerPage)
            + nanosFor(round.waitedPages(), wholeBytesPerPage());
    boolean fits = expected <= limits.downtimeNanos();
    boolean fewLeft = left <= limits.dirtyThreshold();
    boolean inVain = fixedCostNanos >= limits.downtimeNanos();
    if (inVain && expected <= 2 * fixedCostNanos && (fewLeft || !halves)) {
      return new Decision(
          Verdict.OVER_LIMIT,
          "pausing it, its device state and starting it alone take about %.0f ms"
              .formatted(fixedCostNanos / 1e6),
          expected);
    }
    if (fewLeft && fits) {
      return switchOver("at most %d pages are left".formatted(limits.dirtyThreshold()), expected);
    }
    if (fits && (!halves || (rounds > 1 && !shrinks))) {
      return switchOver("what is left fits the downtime limit", expected);
    }
    if (rounds >= limits.maxRounds()) {
      return ended(fits, "%d rounds were sent".formatted(rounds), expected);
    }
    if (wireBytes > limits.maxSentRatio() * limits.memoryBytes()) {
      return ended(
          fits, "%.1f times the memory was sent".formatted(limits.maxSentRatio()), expected);
    }
    if (fruitless >= FRUITLESS_ROUNDS) {
      return ended(fits, "%d rounds in a row brought nothing".formatted(fruitless), expected);
    }
    return new Decision(Verdict.NEXT_ROUND, "another round pays", expected);
  }

  private long nanosFor(long pages, double bytes) {
    return (long) (pages * bytes / Math.max(bytesPerNano, 1e-9));
  }

  /** Of a page whose difference from what the target has is not short any more. */
  private double wholeBytesPerPage() {
    return Math.max(bytesPerPage, mostBytesPerPage);
  }

  /**
   * As many as the downtime limit has room for, because they are sent in the pause: all that is
   * left has to fit it, at the price of whole pages for those that wait. None where rounds become
   * short so fast that a page which was written in each of the last two may well not be written in
   * the next: sending it there shortens the pause. And none where differences are short: sending
   * them costs little, and what waits differs more and more. Enough is sent in any case to tell
   * what the link carries.
   */
  @Override
  public long mayWait(long fixedCostNanos) {
    if (rounds < FIRST_OF_DELTAS
        || nanosFor(lastLeft, bytesPerPage) < lastNanos * LASTS
        || bytesPerPage < wholeBytesPerPage() * SHORT) {
      return 0;
    }
    double whole = wholeBytesPerPage();
    double room = Math.max(0, limits.downtimeNanos() - fixedCostNanos) * bytesPerNano;
    double dearer = whole - bytesPerPage;
    double most = room / whole;
    if (dearer > whole * SAME_PRICE) {
      most = Math.min(most, Math.max(0, room - lastLeft * bytesPerPage) / dearer);
    }
    return (long) Math.min(most, Math.max(0, lastLeft - MEANINGFUL_BYTES / bytesPerPage));
  }

  /**
   * Bandwidth is a matter of the link and learnt from what keeps it busy; bytes a page are one of
   * what is sent, and pages that are sent again take fewer of them than those of the first round.
   * Only there can pages go in part: they say nothing of what those of the next rounds take.
   */
  private void learn(Round round) {
    if (round.wireBytes() >= MEANINGFUL_BYTES || bytesPerNano == 0) {
      bytesPerNano = (double) round.wireBytes() / Math.max(1, round.nanos());
    }
    if (round.wholePages() >= MEANINGFUL_PAGES) {
      bytesPerPage = (double) round.wholeBytes() / round.wholePages();
      mostBytesPerPage = Math.max(mostBytesPerPage, bytesPerPage);
    }
  }

  private static Decision switchOver(String reason, long expected) {
    return new Decision(Verdict.SWITCH_OVER, reason, expected);
  }

  private static Decision ended(boolean fits, String reason, long expected) {
    return new Decision(fits ? Verdict.SWITCH_OVER : Verdict.STALLED, reason, expected);
  }
}
