package io.pageferry.agent.cli;

import org.jspecify.annotations.Nullable;

/**
 * Named moments of a migration at which a test can make an agent wait, so that it can be killed or
 * cancelled exactly there. Without the environment variable {@value #VARIABLE} nothing waits.
 *
 * <p>The value is {@code PHASE:MILLISECONDS}. An agent that arrives says {@code holding at PHASE}
 * on standard error, also when told to be quiet, and goes on after that time or when its thread is
 * interrupted.
 */
public final class HoldPoint {
  /** Names the phase and how long to wait there. */
  public static final String VARIABLE = "PAGEFERRY_HOLD";

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
    Thread.sleep(Long.parseLong(CHOSEN.substring(phase.length() + 1)));
  }
}
