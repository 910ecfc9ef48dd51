package io.pageferry.guest.demo;

/** Hears what happens to the machine, on the thread where it happens. */
interface MachineListener {
  /** The guest stopped. */
  void stopped();

  /** The guest runs. */
  void resumed();

  /**
   * A migration got further.
   *
   * @param status {@code setup}, {@code active}, {@code completed} or {@code failed}
   */
  void migration(String status);
}
