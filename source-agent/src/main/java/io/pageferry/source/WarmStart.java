package io.pageferry.source;

import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Recall;
import io.pageferry.protocol.message.Recalled;
import io.pageferry.protocol.page.ImageLayout;
import io.pageferry.protocol.page.KnownPages;
import java.io.IOException;
import java.security.SecureRandom;

/**
 * Finds out, in the first round, what the target still has of the guest's memory, so that the pages
 * which have not changed since go by name only.
 *
 * <p>Both sides hash for it, at a gigabyte a second or so: on a faster link a page is there as soon
 * as it is hashed. So the target is asked at once only where the cap says how slow the link is, or
 * the user wants it; otherwise when the round has shown it. Once it is asked the senders keep
 * behind its answer, which comes in the order in which they send.
 *
 * <p>Threading: the driver, while the senders are at work; {@link #sent} and {@link #await} are the
 * senders'.
 */
final class WarmStart implements AutoCloseable {
  /** A link that carries less is worth hashing for, also on a processor that is slow at it. */
  static final long WORTHWHILE_BYTES_PER_SECOND = 400_000_000;

  /** A target that says nothing more for so long is not waited for. */
  private static final long PATIENCE_NANOS = 10_000_000_000L;

  private static final SecureRandom RANDOM = new SecureRandom();

  private final TargetLink link;
  private final byte[] salt;
  private final KnownPages pages;
  private final boolean atOnce;
  private final LinkTrial trial;
  private long lastWord;
  private volatile boolean asked;

  /**
   * @param cap bytes a second; 0 for none
   */
  WarmStart(Warm wanted, TargetLink link, ImageLayout layout, long cap) {
    this.link = link;
    this.salt = new byte[Recall.SALT_BYTES];
    RANDOM.nextBytes(salt);
    this.pages = new KnownPages(layout, salt);
    this.atOnce = wanted == Warm.ON || (cap > 0 && cap < WORTHWHILE_BYTES_PER_SECOND);
    this.trial = new LinkTrial(WORTHWHILE_BYTES_PER_SECOND, atOnce);
  }

  /** What the target has, as far as it has said so. */
  KnownPages pages() {
    return pages;
  }

  /** The first round is about to begin. */
  void begin() throws ProtocolException {
    trial.begin();
    if (atOnce) {
      ask();
    }
  }

  private void ask() throws ProtocolException {
    link.send(new Recall(salt));
    lastWord = System.nanoTime();
    asked = true;
  }

  /** Whether {@link #look} is to be called again soon. */
  boolean open() {
    return pages.open();
  }

  /** Hears the target, or decides whether to ask it. */
  void look() throws IOException, InterruptedException {
    long now = System.nanoTime();
    if (!asked) {
      decide();
      return;
    }
    for (Recalled said = link.recalled(); said != null; said = link.recalled()) {
      pages.take(said);
      lastWord = now;
    }
    if (now - lastWord > PATIENCE_NANOS) {
      pages.rest();
    }
  }

  private void decide() throws ProtocolException {
    switch (trial.outcome()) {
      case OPEN -> {}
      case SLOW -> ask();
      case FAST -> pages.rest();
    }
  }

  /** So much went out. */
  void sent(long bytes) {
    trial.sent(bytes);
  }

  /** Returns when the target has spoken of these pages, or they are not worth waiting for. */
  void await(int region, long endPage) throws InterruptedException {
    if (asked) {
      pages.await(region, endPage);
    }
  }

  /** The first round is over; no sender is at work. */
  @Override
  public void close() {
    pages.close();
  }
}
