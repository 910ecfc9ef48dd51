package io.pageferry.guest.description;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** How a guest is controlled. */
public sealed interface ControlDescription {
  /** The longest path that a Unix socket address holds, in bytes (sun_path less its final 0). */
  int MAX_SOCKET_PATH = 107;

  /** How long the guest may take to answer or to carry out one command. */
  Duration timeout();

  /**
   * By QMP, as QEMU and the demo guest are.
   *
   * @param socket its QMP socket (AF_UNIX, SOCK_STREAM), absolute
   */
  record Qmp(Path socket, Duration timeout) implements ControlDescription {
    /** What applies when the description does not say. */
    public static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(5);
  }

  /**
   * By the user's own commands. Each is a program and its arguments, run in the folder of the
   * description; a relative program name with a slash has been resolved already. One that ends with
   * exit code 0 has done what it is for.
   *
   * @param pause returns when no instruction of the guest runs any more
   * @param resume lets the guest run
   * @param status tells what the guest does, in one word
   * @param saveState writes the paused guest's device state; empty for a guest that does not leave
   * @param loadState gives a device state to a waiting guest; empty for a guest that does not come
   * @param quit ends the guest; empty for one that is not to be ended
   */
  record Commands(
      List<String> pause,
      List<String> resume,
      List<String> status,
      List<String> saveState,
      List<String> loadState,
      List<String> quit,
      Duration timeout)
      implements ControlDescription {
    /** What applies when the description does not say. */
    public static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(30);

    /** Stands in an argument for the file that the device state is in. */
    public static final String STATE_FILE = "{state}";

    public Commands {
      pause = List.copyOf(pause);
      resume = List.copyOf(resume);
      status = List.copyOf(status);
      saveState = List.copyOf(saveState);
      loadState = List.copyOf(loadState);
      quit = List.copyOf(quit);
    }
  }
}
