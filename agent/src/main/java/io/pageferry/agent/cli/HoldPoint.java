package io.pageferry.agent.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Named moments of a migration at which a test can make an agent wait, so that it can be killed or
 * cancelled exactly there. Without the environment variable {@value #VARIABLE} nothing waits.
 *
 * <p>The value is {@code PHASE:MILLISECONDS} or {@code PHASE:MILLISECONDS:FILE}. An agent that
 * arrives says {@code holding at PHASE} on standard error, also when told to be quiet, and goes on
 * after that time, when there is that file, or when its thread is interrupted.
 */
public final class HoldPoint {
  /** Names the phase and how long to wait there. */
  public static final String VARIABLE = "PAGEFERRY_HOLD";

  private static final long LOOK_MILLIS = 10;

  private static final @Nullable String CHOSEN = System.getenv(VARIABLE);

  private HoldPoint() {}

  /**
   * Waits if this is the chosen phase.
   *
   * @param phase the moment's name
   * @throws InterruptedException if this thread was interrupted while it waited
   */
  public static void reached(String phase) throws InterruptedException {
    if (CHOSEN == null || !CHOSEN.startsWith(phase + ":")) {
      return;
    }
    System.err.println("holding at " + phase);
    String[] limits = CHOSEN.substring(phase.length() + 1).split(":", 2);
    long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(Long.parseLong(limits[0]));
    while (System.nanoTime() - end < 0
        && !(limits.length > 1 && Files.exists(Path.of(limits[1])))) {
      Thread.sleep(LOOK_MILLIS);
    }
  }
}
