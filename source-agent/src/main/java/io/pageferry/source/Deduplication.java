package io.pageferry.source;

/**
 * Whether pages are offered by their digests: where a page takes longer to cross than to be hashed,
 * and then in the first round and in each later one during which the guest runs. The last pages are
 * sent at once, because their answers would be in the guest's downtime.
 *
 * <p>Any number of threads.
 */
final class Deduplication {
  /** A page takes 27 µs on a link that carries this, and some three to be hashed. */
  static final long WORTHWHILE_BYTES_PER_SECOND = 150_000_000;

  private final LinkTrial trial;

  /**
   * @param cap bytes a second; 0 for none
   */
  Deduplication(boolean atOnce, long cap) {
    trial =
        new LinkTrial(
            WORTHWHILE_BYTES_PER_SECOND, atOnce || (cap > 0 && cap < WORTHWHILE_BYTES_PER_SECOND));
  }

  /** The first round is about to begin. */
  void begin() {
    trial.begin();
  }

  /** So much went out. */
  void sent(long bytes) {
    trial.sent(bytes);
  }

  boolean worthwhile() {
    return trial.outcome() == LinkTrial.Outcome.SLOW;
  }
}
