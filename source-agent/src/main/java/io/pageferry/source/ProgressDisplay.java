package io.pageferry.source;

import io.pageferry.agent.cli.ProgressLine;
import io.pageferry.agent.cli.ProgressSample;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Looks at the progress ten times a second and shows it; a thread of its own, which only reads. */
final class ProgressDisplay implements AutoCloseable {
  private static final long EVERY_MILLIS = 100;

  /** Before that the rate says more about the guest's first pages than about the link. */
  private static final long NO_ESTIMATE_NANOS = 500_000_000;

  private final MigrationProgress progress;
  private final ProgressLine line;

  /** The phase that the line shows; the clock's thread only. */
  private String shown = "";

  /** When that phase began; the clock's thread only. */
  private long phaseBegin;

  /** Of that phase; the clock's thread only. */
  private SlidingRate rate = new SlidingRate();

  /** How fast the guest faults, in that phase; the clock's thread only. */
  private SlidingRate faultRate = new SlidingRate();

  private final ScheduledExecutorService clock =
      Executors.newSingleThreadScheduledExecutor(
          Thread.ofPlatform().daemon().name("progress").factory());

  private ProgressDisplay(MigrationProgress progress, ProgressLine line) {
    this.progress = progress;
    this.line = line;
  }

  static ProgressDisplay show(MigrationProgress progress, boolean quiet) {
    ProgressDisplay display = new ProgressDisplay(progress, ProgressLine.onStandardError(quiet));
    var _ =
        display.clock.scheduleAtFixedRate(
            display::update, EVERY_MILLIS, EVERY_MILLIS, TimeUnit.MILLISECONDS);
    return display;
  }

  private void update() {
    int round = progress.round();
    if (round == 0) {
      return;
    }
    long remaining = Math.max(0, progress.roundPages() - progress.roundSent()) * 4096;
    long now = System.nanoTime();
    String phase = phase(round);
    if (!phase.equals(shown)) {
      line.phase(phase);
      shown = phase;
      phaseBegin = progress.roundStartNanos();
      rate = new SlidingRate();
      rate.add(phaseBegin, (progress.pagesSent() - progress.roundSent()) * 4096);
      faultRate = new SlidingRate();
    }
    boolean postcopy = phase.equals(MigrationProgress.POSTCOPY);
    faultRate.add(now, progress.faults());
    rate.add(now, progress.pagesSent() * 4096);
    long covered = rate.perSecond();
    boolean tooEarly = now - phaseBegin < NO_ESTIMATE_NANOS;
    line.update(
        new ProgressSample(
            postcopy ? 0 : round,
            progress.roundSent() * 4096,
            progress.roundPages() * 4096,
            covered,
            round == 1 || postcopy ? -1 : progress.dirtyBytesPerSecond(),
            remaining,
            postcopy ? faultRate.perSecond() : -1,
            covered <= 0 || tooEarly ? -1 : (double) remaining / covered));
  }

  /** One line each for the first round, for all the others, and for the pause. */
  private String phase(int round) {
    if (!progress.phase().startsWith("round")) {
      return progress.phase();
    }
    return round == 1 ? "copying memory" : "sending dirty pages";
  }

  @Override
  public void close() {
    clock.shutdownNow();
    line.close();
  }
}
