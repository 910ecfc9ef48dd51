package io.pageferry.target.reception;

import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.DirtySummary;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.Missing;
import io.pageferry.protocol.message.Recall;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.Switch;
import io.pageferry.target.MigrationAborted;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes in round after round, each acknowledged when all of it is in the image, and what the source
 * sends beside and after the last one: the device state and the digest; or, where the rest is to
 * come after the guest, which pages that is. Driver thread only.
 */
final class RoundIntake {
  private static final Logger LOG = LoggerFactory.getLogger(RoundIntake.class);

  private final String guest;
  private final SourceLine line;
  private final PageChannels channels;
  private final MissingMemory missing;
  private final ReceptionLimits limits;
  private final ReceptionProgress progress;
  private final ReceptionMeters meters;
  private final LandedPages landed;
  private final Recollection recollection;
  private final Logger story;
  private final Patience patience;
  private final DeviceStateAssembly deviceState;
  private final long joinDeadline;

  private @Nullable RoundBegin begun;
  private ReceptionEvent.@Nullable RoundDelivered delivered;
  private @Nullable DigestValue digest;
  private @Nullable Switch switched;
  private long roundBegan = System.nanoTime();

  RoundIntake(
      String guest,
      SourceLine line,
      PageChannels channels,
      MissingMemory missing,
      ReceptionLimits limits,
      ReceptionProgress progress,
      ReceptionMeters meters,
      LandedPages landed,
      Recollection recollection,
      Logger story) {
    this.guest = guest;
    this.line = line;
    this.channels = channels;
    this.missing = missing;
    this.limits = limits;
    this.progress = progress;
    this.meters = meters;
    this.landed = landed;
    this.recollection = recollection;
    this.story = story;
    this.patience = new Patience(landed, limits.idleLimit());
    this.deviceState = new DeviceStateAssembly(limits.deviceStateBytes());
    this.joinDeadline = System.nanoTime() + limits.joinLimit().toNanos();
  }

  /**
   * Returns when the last round has landed and device state and digest are here, or when the rest
   * is to come after the guest.
   */
  void run() throws MigrationAborted, SourceLost, InterruptedException {
    boolean last = false;
    while (switched == null && (!last || digest == null)) {
      take();
      // The two arrive on different connections, in either order.
      if (begun != null && delivered != null) {
        last = begun.last();
        acknowledge(begun, delivered.pages());
        begun = null;
        delivered = null;
      }
    }
  }

  byte[] deviceState() throws MigrationAborted {
    return deviceState.complete();
  }

  /** How the migration goes on by post-copy; null if everything has landed. */
  @Nullable Switch switched() {
    return switched;
  }

  /** What everything that landed is compared with. */
  DigestValue digest() {
    return Objects.requireNonNull(digest);
  }

  private void take() throws MigrationAborted, SourceLost, InterruptedException {
    switch (line.next(SourceLine.LOOK)) {
      case null -> {
        requireChannels();
        patience.check();
      }
      case ReceptionEvent.FromSource(Message message, long nanos) -> {
        patience.renew();
        take(message);
      }
      case ReceptionEvent.RoundDelivered event -> {
        patience.renew();
        delivered = event;
      }
      case ReceptionEvent.ChannelsComplete complete -> patience.renew();
      case ReceptionEvent other -> throw new IllegalStateException("not for here: " + other);
    }
  }

  private void take(Message message) throws MigrationAborted {
    switch (message) {
      case RoundBegin begin -> {
        begun = begin;
        roundBegan = System.nanoTime();
        progress.round(begin);
      }
      case DirtySummary summary -> LOG.debug("{}", summary);
      // The source need not wait for the last round to land before it sends the rest.
      case DeviceState piece -> deviceState.add(piece);
      case DigestValue value -> digest = value;
      case Recall asked -> recollection.begin(asked.salt());
      case Missing named -> missing.add(named);
      case Switch now -> switched = now;
      default -> throw SourceLine.unexpected(message);
    }
  }

  private void acknowledge(RoundBegin round, long pages) {
    if (round.last()) {
      channels.settle();
    }
    if (round.round() == 1) {
      recollection.close();
    }
    line.send(new RoundLanded(round.round(), pages));
    if (round.last()) {
      // While the source still waits for the guest's device state, which must not come before this.
      missing.lift();
    }
    long nanos = System.nanoTime() - roundBegan;
    meters.roundLanded(landed, nanos);
    if (round.round() == 1 || round.last()) {
      story.info(
          "guest '{}': {} {} landed, {} pages{}{} in {} ms",
          guest,
          round.last() ? "last round" : "round",
          round.round(),
          pages,
          round.round() == 1 && landed.knownPages() > 0
              ? ", %d of them here from an earlier time".formatted(landed.knownPages())
              : "",
          round.round() == 1 && landed.foundPages() > 0
              ? ", the content of %d found here".formatted(landed.foundPages())
              : "",
          Math.round(nanos / 1e5) / 10.0);
    } else {
      LOG.debug("round {} landed, {} pages in {} ms", round.round(), pages, nanos / 1_000_000);
    }
  }

  private void requireChannels() throws MigrationAborted {
    if (System.nanoTime() - joinDeadline > 0 && !channels.complete()) {
      throw new MigrationAborted(
          AbortReason.PEER_SILENT,
          "not all channels joined within " + limits.joinLimit().toMillis() + " ms");
    }
  }
}
