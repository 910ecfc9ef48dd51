package io.pageferry.guest.control;

/**
 * What a guest is doing.
 *
 * @param running whether it executes instructions
 * @param name QMP's run state: {@code running}, {@code paused}, {@code inmigrate}, {@code
 *     postmigrate}, {@code prelaunch}, …
 */
public record GuestStatus(boolean running, String name) {
  /** Whether it waits for {@code migrate-incoming}. */
  public boolean awaitsDeviceState() {
    return name.equals("inmigrate");
  }
}
