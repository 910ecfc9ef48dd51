package io.pageferry.source;

import io.pageferry.agent.process.LowPriority;
import io.pageferry.guest.control.GuestControlException;
import io.pageferry.protocol.page.PageCodec;
import io.pageferry.protocol.page.PageRehearsal;
import io.pageferry.protocol.rehearsal.ConversationRehearsal;
import org.jspecify.annotations.Nullable;

/**
 * What this agent does for the first time before a guest has to wait for it, while the target
 * prepares itself. Pages are among it only where no round comes before the pause: beside a first
 * round ({@link Course}) there is more time for them than here, where both agents get going.
 *
 * <p>Threading: the driver thread. From {@link #begin} to {@link #await} the guest's control is not
 * the driver's.
 */
final class SourceRehearsal implements AutoCloseable {
  private final MigrationSettings settings;

  /** Null where there is a first round to do this beside. */
  private final @Nullable PageRehearsal pages;

  private final ControlRehearsal control;

  private SourceRehearsal(MigrationSettings settings, SourceGuest guest) {
    this.settings = settings;
    pages = settings.hasRounds() ? null : pages();
    try {
      control = ControlRehearsal.begin(guest);
    } catch (RuntimeException | Error e) {
      if (pages != null) {
        pages.close();
      }
      throw e;
    }
  }

  /** These run while the target's preflight does. */
  static SourceRehearsal begin(MigrationSettings settings, SourceGuest guest) {
    ConversationRehearsal.begin();
    if (zstdIsNeededAtOnce(settings)) {
      linkZstd(settings);
    }
    return new SourceRehearsal(settings, guest);
  }

  /** Begins to take made-up pages through encoder and decoder; the caller's to close. */
  static PageRehearsal pages() {
    return PageRehearsal.begin(LowPriority.threads("page-rehearsal"));
  }

  /** Not where it may be chosen later, beside the first round. */
  private static boolean zstdIsNeededAtOnce(MigrationSettings settings) {
    return settings.slowLink() || settings.compress() == Compression.ZSTD || !settings.hasRounds();
  }

  private static void linkZstd(MigrationSettings settings) {
    if (settings.compress() == Compression.AUTO || settings.compress() == Compression.ZSTD) {
      PageCodec.linkZstd();
    }
  }

  /**
   * The target is ready. Returns when the guest's control is the driver's again.
   *
   * @throws GuestControlException if the guest does not answer
   */
  void await() throws GuestControlException, InterruptedException {
    if (pages != null) {
      pages.close();
    }
    control.await();
  }

  /** The first round is about to begin. */
  void besideTheRounds() {
    if (!zstdIsNeededAtOnce(settings)) {
      linkZstd(settings);
    }
  }

  @Override
  public void close() {
    control.close();
    if (pages != null) {
      pages.close();
    }
  }
}
