package io.pageferry.source;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a switchover costs this guest besides its last pages: pausing, device state, digest, both
 * ledgers, start. It is measured in each migration and remembered in a small file by the guest's
 * name, because it cannot be measured without standing the guest still; until there is one, it is
 * put together from what could be measured beforehand.
 *
 * <p>File: {@code STATE/source/NAME.switchover}, one decimal number of microseconds.
 */
final class SwitchoverCost {
  private static final Logger LOG = LoggerFactory.getLogger(SwitchoverCost.class);

  /** For saving and loading the device state of a guest never moved before. */
  private static final Duration UNKNOWN_DEVICE_STATE = Duration.ofMillis(20);

  private static final long MAX_MICROS = Duration.ofMinutes(1).toNanos() / 1000;

  private final Path file;

  SwitchoverCost(Path stateDirectory, String guest) {
    file = stateDirectory.resolve("source").resolve(guest + ".switchover");
  }

  /**
   * @param targetMicros what the target says of its part, 0 if it does not know
   * @param roundTripNanos of the control channel
   * @param ledgerNanos of one ledger record on this side
   */
  long estimateNanos(long targetMicros, long roundTripNanos, long ledgerNanos) {
    try {
      if (Files.size(file) <= 20) {
        long micros = Long.parseLong(Files.readString(file).trim());
        if (micros > 0 && micros < MAX_MICROS) {
          return micros * 1000;
        }
      }
    } catch (IOException | NumberFormatException e) {
      LOG.debug("no earlier switchover of this guest is known", e);
    }
    // Prepared and Started are a round trip each; the other side's ledger costs what ours does.
    return UNKNOWN_DEVICE_STATE.toNanos()
        + targetMicros * 1000
        + 2 * roundTripNanos
        + 2 * ledgerNanos;
  }

  /** Keeps what it cost this time; failing to do so costs the next estimate, nothing else. */
  void remember(long nanos) {
    try {
      Path fresh = file.resolveSibling(file.getFileName() + ".new");
      Files.writeString(fresh, Long.toString(nanos / 1000));
      Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      LOG.debug("cannot remember the cost of this switchover", e);
    }
  }
}
