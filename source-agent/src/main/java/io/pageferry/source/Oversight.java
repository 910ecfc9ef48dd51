package io.pageferry.source;

import io.pageferry.agent.cli.Version;
import io.pageferry.protocol.message.MigrationMode;
import java.util.UUID;

/**
 * One migration as its user sees it while a driver is at work on it, in the agent that began it or
 * in one that takes it up, and what the user may ask of the driver.
 *
 * @param cancellation to call it off
 * @param wish to let the guest move before its pages
 * @param progress where it is
 * @param journal what happened, for the report; the driver's own
 */
record Oversight(
    Cancellation cancellation,
    SwitchWish wish,
    MigrationProgress progress,
    MigrationJournal journal) {

  /**
   * Of a driver that is about to begin.
   *
   * @param target as the user knows it
   */
  static Oversight of(UUID migration, MigrationMode mode, String target) {
    return new Oversight(
        new Cancellation(),
        new SwitchWish(),
        new MigrationProgress(migration, target),
        new MigrationJournal(migration, mode, Version.number()));
  }

  /** Answers the user's commands. */
  ControlDesk desk() {
    return new ControlDesk(progress, cancellation, wish);
  }
}
