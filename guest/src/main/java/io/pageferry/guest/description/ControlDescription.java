package io.pageferry.guest.description;

import java.nio.file.Path;
import java.time.Duration;

/**
 * How the guest is controlled.
 *
 * @param qmp its QMP socket (AF_UNIX, SOCK_STREAM), absolute
 * @param timeout how long the guest may take to answer one command
 */
public record ControlDescription(Path qmp, Duration timeout) {
  /** What applies when the description does not say. */
  public static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(5);

  /** The longest path that a Unix socket address holds, in bytes (sun_path less its final 0). */
  public static final int MAX_SOCKET_PATH = 107;
}
