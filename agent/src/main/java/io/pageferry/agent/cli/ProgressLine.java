package io.pageferry.agent.cli;

import io.pageferry.guest.units.BitRate;
import io.pageferry.guest.units.ByteSize;
import java.io.Console;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import java.util.function.LongSupplier;

/**
 * What the user sees while pages move. On a terminal one line for each phase, rewritten in place;
 * elsewhere a plain line now and then.
 *
 * <p>The time left never runs backwards within a phase: an estimate that grows a little is shown as
 * the remaining time that was shown last. One that grows a lot makes that time untrue, and no time
 * is shown until it is true again.
 *
 * <p>Thread-safe.
 */
public final class ProgressLine implements AutoCloseable {
  private static final Duration ON_TERMINAL = Duration.ofMillis(100);
  private static final Duration ELSEWHERE = Duration.ofSeconds(5);

  /** From this factor and this difference on, a shown time that the estimate exceeds is untrue. */
  private static final double UNTRUE_FACTOR = 1.5;

  private static final double UNTRUE_SECONDS = 1;

  /** Back to the first column, and nothing in it. */
  static final String CLEAR_LINE = "\r\u001b[2K";

  private final PrintStream out;
  private final boolean terminal;
  private final boolean quiet;
  private final LongSupplier nanoTime;

  private String phase = "";
  private boolean lineOpen;
  private long lastShown;
  private boolean shownBefore;

  /** The time left that was shown last in this phase, or -1: no larger one may follow. */
  private double lastSeconds = -1;

  /** The time left that the line shows now, or -1 for none. */
  private double shownSeconds = -1;

  ProgressLine(PrintStream out, boolean terminal, boolean quiet, LongSupplier nanoTime) {
    this.out = out;
    this.terminal = terminal;
    this.quiet = quiet;
    this.nanoTime = nanoTime;
  }

  /** Progress on standard error. */
  public static ProgressLine onStandardError(boolean quiet) {
    return new ProgressLine(System.err, isTerminal(), quiet, System::nanoTime);
  }

  /**
   * Whether standard error is a terminal. The JDK only tells about all three streams together, and
   * {@code --json /dev/stdout | jq} must still show progress, so the launcher passes on what it
   * knows.
   */
  @SuppressWarnings("SystemConsoleNull") // JDK 25 went back to null where there is no terminal
  static boolean isTerminal() {
    String told = System.getenv("PAGEFERRY_TERMINAL");
    if (told != null) {
      return told.equals("1");
    }
    Console console = System.console();
    return console != null && console.isTerminal();
  }

  /** A new phase begins: the line of the one before stays as it was last shown. */
  public synchronized void phase(String name) {
    endLine();
    phase = name;
    // Elsewhere than on a terminal a phase of milliseconds is not worth a line of its own.
    shownBefore = shownBefore && !terminal;
    lastSeconds = -1;
    shownSeconds = -1;
  }

  /** Shows the sample if it is time to; cheap otherwise. */
  public synchronized void update(ProgressSample sample) {
    long now = nanoTime.getAsLong();
    Duration interval = terminal ? ON_TERMINAL : ELSEWHERE;
    if (quiet || (shownBefore && now - lastShown < interval.toNanos())) {
      return;
    }
    shownSeconds = secondsToShow(sample.secondsLeft(), (now - lastShown) / 1e9);
    lastSeconds = shownSeconds >= 0 ? shownSeconds : lastSeconds;
    lastShown = now;
    shownBefore = true;
    String text = text(sample);
    if (terminal) {
      out.print(CLEAR_LINE + text);
      lineOpen = true;
    } else {
      out.println(text);
    }
    out.flush();
  }

  private double secondsToShow(double estimate, double sinceLast) {
    if (estimate < 0 || lastSeconds < 0) {
      return estimate;
    }
    // While no time is shown none runs down: it would be at zero when it could be true again.
    double most = shownSeconds < 0 ? lastSeconds : Math.max(0, shownSeconds - sinceLast);
    boolean untrue = estimate > most * UNTRUE_FACTOR && estimate > most + UNTRUE_SECONDS;
    return untrue ? -1 : Math.min(most, estimate);
  }

  private String text(ProgressSample sample) {
    StringBuilder text = new StringBuilder(phase);
    if (sample.round() > 0) {
      text.append("  round ").append(sample.round());
    }
    if (sample.totalBytes() > 0) {
      long percent = Math.min(100, sample.doneBytes() * 100 / sample.totalBytes());
      text.append("  ").append(percent).append('%');
    }
    text.append("  ").append(BitRate.format(sample.bytesPerSecond()));
    if (sample.dirtyBytesPerSecond() >= 0) {
      text.append("  dirtied ").append(BitRate.format(sample.dirtyBytesPerSecond()));
    }
    text.append("  remaining ").append(ByteSize.format(sample.remainingBytes()));
    if (sample.faultsPerSecond() >= 0) {
      text.append("  ").append(sample.faultsPerSecond()).append(" faults/s");
    }
    if (shownSeconds >= 0) {
      text.append("  ").append(clock(shownSeconds)).append(" left");
    }
    return text.toString();
  }

  private static String clock(double seconds) {
    if (seconds < 10) {
      return String.format(Locale.ROOT, "%.1f s", seconds);
    }
    long whole = Math.round(seconds);
    return whole < 60 ? whole + " s" : whole / 60 + " min " + whole % 60 + " s";
  }

  /** Ends the line on a terminal, so that what is printed next begins on one of its own. */
  @Override
  public synchronized void close() {
    endLine();
  }

  private void endLine() {
    if (lineOpen) {
      out.println();
      out.flush();
      lineOpen = false;
    }
  }
}
