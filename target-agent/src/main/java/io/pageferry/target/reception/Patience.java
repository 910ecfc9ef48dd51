package io.pageferry.target.reception;

import io.pageferry.protocol.message.AbortReason;
import io.pageferry.target.MigrationAborted;
import java.time.Duration;

/**
 * How long this host keeps its memory reserved for a source that lives but neither says nor sends
 * anything. Driver thread only.
 */
final class Patience {
  private final LandedPages landed;
  private final Duration idleLimit;
  private long seen;
  private long idleSince = System.nanoTime();

  Patience(LandedPages landed, Duration idleLimit) {
    this.landed = landed;
    this.idleLimit = idleLimit;
  }

  /** Something happened. */
  void renew() {
    idleSince = System.nanoTime();
  }

  /** Nothing happened but, perhaps, pages that landed. */
  void check() throws MigrationAborted {
    long now = System.nanoTime();
    if (landed.pages() != seen) {
      seen = landed.pages();
      idleSince = now;
    }
    if (now - idleSince > idleLimit.toNanos()) {
      throw new MigrationAborted(
          AbortReason.PEER_SILENT,
          "the source sent nothing of its guest for " + idleLimit.toMillis() + " ms");
    }
  }
}
