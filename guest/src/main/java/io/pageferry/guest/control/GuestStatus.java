package io.pageferry.guest.control;

/**
 * What a guest is doing.
 *
 * @param running whether it executes instructions
 * @param name QMP's run state: {@code running}, {@code paused}, {@code inmigrate}, {@code
 *     postmigrate}, {@code prelaunch}, …; of a guest that is controlled by commands {@code
 *     running}, {@code paused} or {@code waiting}
 */
public record GuestStatus(boolean running, String name) {
  /** Whether it waits for its device state. */
  public boolean awaitsDeviceState() {
    return name.equals("inmigrate") || name.equals("waiting");
  }

  /** Whether it says itself that it was saved and has not run since. */
  public boolean hasMovedOn() {
    return name.equals("postmigrate");
  }

  /** Whether it has run until it shut down or crashed, and its process is there still. */
  public boolean isOver() {
    return name.equals("shutdown")
        || name.equals("guest-panicked")
        || name.equals("internal-error");
  }

  /**
   * Whether it stands still and nothing says why: a guest that was saved, or that a user paused.
   */
  public boolean isPlainlyPaused() {
    return name.equals("paused");
  }
}
