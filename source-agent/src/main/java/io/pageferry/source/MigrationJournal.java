package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.report.MigrationReport;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.page.PageTally;
import io.pageferry.source.Switchover.Parts;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * What happened in one migration, noted as it happens, and the report of it. Driver thread only.
 */
final class MigrationJournal {
  private static final double NANOS_PER_MILLI = 1e6;

  private final UUID migration;
  private final MigrationMode mode;
  private final String version;
  private final long begin = System.nanoTime();
  private final PageTally tally = new PageTally();
  private final List<MigrationReport.Round> rounds = new ArrayList<>();
  private String guest = "";
  private long memoryBytes;
  private long precopyBegin;
  private long pausedAt;
  private long deltaCacheBytes;
  private long startedAt;
  private long sentPages;
  private long pushedPages;
  private long faultedPages;
  private long heldBackPages;
  private long allThereAt;
  private boolean verified;
  private Parts parts = Parts.NONE;
  private long guestDowntimeMicros;
  private @Nullable PeerIdentity peer;
  private @Nullable String tracking;
  private @Nullable String stopReason;
  private @Nullable SwitchedBy switchedBy;
  private MigrationReport.Faults faults = MigrationReport.Faults.NONE;
  private @Nullable Double operationsBefore;
  private @Nullable Double operationsDuring;
  private @Nullable Double operationsAfter;

  MigrationJournal(UUID migration, MigrationMode mode, String version) {
    this.migration = migration;
    this.mode = mode;
    this.version = version;
  }

  /** The mode as command line and report spell it. */
  static String name(MigrationMode mode) {
    return mode.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  void guest(String name, long bytes) {
    guest = name;
    memoryBytes = bytes;
  }

  void peer(PeerIdentity identity) {
    peer = identity;
  }

  void tracking(String name) {
    tracking = name;
  }

  /** How much the cache of bases may hold. */
  void deltaCache(long bytes) {
    deltaCacheBytes = bytes;
  }

  void precopyBegins() {
    precopyBegin = System.nanoTime();
  }

  /**
   * @param dirtied pages that the guest wrote meanwhile
   * @param waited pages that were left for later because the guest keeps writing them
   */
  void round(RoundSender.Sent sent, long dirtied, long waited) {
    heldBackPages += waited;
    tally.add(sent.tally());
    sentPages += sent.pages();
    rounds.add(
        new MigrationReport.Round(
            sent.round(),
            sent.pages(),
            sent.tally().wireBytes(),
            millis(sent.nanos()),
            dirtied,
            waited));
  }

  /**
   * The round of post-copy, or a part of it between two losses of the link.
   *
   * @param pushed what went without having been asked for
   * @param faulted what the guest waited for
   */
  void postcopyRound(int round, PageTally pushed, PageTally faulted, long nanos) {
    pushedPages += pushed.pages();
    faultedPages += faulted.pages();
    PageTally both = new PageTally();
    both.add(pushed);
    both.add(faulted);
    round(new RoundSender.Sent(round, both.pages(), both, nanos), 0, 0);
  }

  void switchedBy(SwitchedBy reason) {
    switchedBy = reason;
  }

  /** Page writes a second by the guest's own count, before the pause. */
  void operationsBefore(double perSecond) {
    operationsBefore = perSecond;
  }

  /** The target has everything; of no effect again, on a later connection. */
  void allThere() {
    if (allThereAt == 0) {
      allThereAt = System.nanoTime();
    }
  }

  /** The target has everything, and this is what it says of it. */
  void settled(Settled said) {
    allThere();
    verified = said.comparison() == Comparison.EQUAL;
    faults =
        new MigrationReport.Faults(
            said.faults(),
            said.p50Nanos() / 1e3,
            said.p99Nanos() / 1e3,
            said.maxNanos() / 1e3,
            said.localFaults(),
            said.avoided(),
            said.duplicates());
    operationsDuring = operations(said.guestMilliOpsPerSecond());
    operationsAfter = operations(said.afterMilliOpsPerSecond());
  }

  private static @Nullable Double operations(long milliOpsPerSecond) {
    return milliOpsPerSecond == 0 ? null : Double.valueOf(milliOpsPerSecond / 1e3);
  }

  void stopReason(String reason) {
    stopReason = reason;
  }

  void paused(long nanoTime) {
    pausedAt = nanoTime;
  }

  void started(long nanoTime, Parts downtime, long guestMicros) {
    startedAt = nanoTime;
    parts = downtime;
    guestDowntimeMicros = guestMicros;
  }

  void verified() {
    verified = true;
  }

  /** Null unless the target reported the guest running: its word may have been lost. */
  @Nullable Double downtimeMillis() {
    return startedAt == 0 ? null : Double.valueOf(millis(startedAt - pausedAt));
  }

  /** Null unless both of its ends were seen; without post-copy they are one. */
  private @Nullable Double resumeMillis(MigrationReport.Outcome outcome) {
    if (startedAt == 0) {
      return null;
    }
    if (allThereAt != 0) {
      return millis(allThereAt - startedAt);
    }
    return outcome == MigrationReport.Outcome.COMPLETED && switchedBy == null
        ? Double.valueOf(0)
        : null;
  }

  private MigrationReport.@Nullable DowntimeParts downtimeParts() {
    return startedAt == 0
        ? null
        : new MigrationReport.DowntimeParts(
            millis(parts.pauseNanos()),
            millis(parts.finalPagesNanos()),
            millis(parts.deviceStateNanos()),
            millis(parts.commitNanos()),
            millis(parts.startNanos()));
  }

  MigrationReport completed() {
    return report(MigrationReport.Outcome.COMPLETED, null);
  }

  MigrationReport failed(CommandFailure failure) {
    return report(outcome(failure.exit()), failure.sentence());
  }

  private static MigrationReport.Outcome outcome(ExitCode exit) {
    return switch (exit) {
      case DONE -> MigrationReport.Outcome.COMPLETED;
      case CANCELLED -> MigrationReport.Outcome.CANCELLED;
      case RECOVERABLE -> MigrationReport.Outcome.PAUSED;
      case FAILED, USAGE, REFUSED -> MigrationReport.Outcome.FAILED;
    };
  }

  MigrationReport report(MigrationReport.Outcome outcome, @Nullable String error) {
    long now = System.nanoTime();
    long preparationEnd = pausedAt == 0 ? now : pausedAt;
    return new MigrationReport(
        migration,
        outcome,
        name(mode),
        new MigrationReport.Guest(guest, memoryBytes, 4096),
        new MigrationReport.Times(
            millis(preparationEnd - begin),
            precopyBegin == 0 ? 0 : millis(preparationEnd - precopyBegin),
            downtimeMillis(),
            resumeMillis(outcome),
            millis(now - begin)),
        downtimeParts(),
        guestDowntimeMicros == 0 ? null : Double.valueOf(guestDowntimeMicros / 1000.0),
        null,
        new MigrationReport.Pages(
            memoryBytes / 4096,
            sentPages,
            tally.zero(),
            tally.raw(),
            tally.lz4(),
            tally.zstd(),
            tally.delta(),
            tally.known(),
            tally.partlyKnown(),
            tally.deduplicated(),
            Math.max(0, sentPages - memoryBytes / 4096),
            faultedPages,
            pushedPages,
            heldBackPages),
        new MigrationReport.Bytes(tally.wireBytes(), sentPages * 4096),
        new MigrationReport.DeltaCache(
            deltaCacheBytes, tally.deltaHits(), tally.deltaMisses(), tally.deltaOverflows()),
        rounds,
        faults,
        verified,
        tls(),
        tracking,
        error,
        peer == null ? null : peer.name() + " at " + peer.hostAndPort(),
        version,
        stopReason,
        switchedBy == null ? null : switchedBy.inReport(),
        new MigrationReport.Application(operationsBefore, operationsDuring, operationsAfter));
  }

  private MigrationReport.@Nullable Tls tls() {
    return peer == null || peer.tlsProtocol().equals(PeerIdentity.PLAINTEXT)
        ? null
        : new MigrationReport.Tls(peer.tlsProtocol(), peer.tlsGroup());
  }

  private static double millis(long nanos) {
    return Math.round(nanos / 1000.0) * 1000 / NANOS_PER_MILLI;
  }
}
