package io.pageferry.source;

/**
 * Decides before each round whether pages that are sent again go as differences. Finding one and
 * keeping its base takes about a microsecond a page, as long as a fast link takes for the whole
 * page; and a link on which a round was as fast as that has no need of it, until one is clearly
 * slower: what is kept is forgotten each time, so going to and fro would only cost.
 *
 * <p>Pure arithmetic. Threading: the driver thread.
 */
final class DeltaRule {
  /** A page takes four microseconds at this rate, several times what its difference costs. */
  static final double FAST_BYTES_PER_NANO = 1.0;

  private static final double SLOW_BYTES_PER_NANO = 0.7;

  /** Bytes over which the link is judged; less is mostly waiting for replies. */
  static final long MEANINGFUL_BYTES = 4L << 20;

  private boolean worthwhile = true;

  /**
   * A round is over.
   *
   * @param wireBytes what it took on the wire
   * @param nanos from its beginning to the target's acknowledgement
   */
  void learn(long wireBytes, long nanos) {
    if (wireBytes >= MEANINGFUL_BYTES) {
      double limit = worthwhile ? FAST_BYTES_PER_NANO : SLOW_BYTES_PER_NANO;
      worthwhile = (double) wireBytes / Math.max(1, nanos) < limit;
    }
  }

  /** Whether the next round is to have differences. */
  boolean worthwhile() {
    return worthwhile;
  }
}
