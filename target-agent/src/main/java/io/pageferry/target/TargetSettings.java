package io.pageferry.target;

import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.protocol.channel.TransportSettings;
import io.pageferry.target.admission.AllowList;
import io.pageferry.target.content.Sharing;
import io.pageferry.target.reception.ReceptionLimits;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/**
 * How a target serves.
 *
 * @param transport its sockets and its TLS
 * @param guests the folder of descriptions
 * @param stateDirectory where its ledgers are
 * @param allowed which peer may send which guest
 * @param maxMigrations received at once
 * @param launchLimit how long a launched guest may take until it can be controlled
 * @param limits of one migration
 * @param copies what is kept of guests whose arrival was cut off
 * @param sharing which guests' memory a source may have its pages found in
 * @param hints files in which every source may have its pages found
 */
public record TargetSettings(
    TransportSettings transport,
    Path guests,
    Path stateDirectory,
    AllowList allowed,
    int maxMigrations,
    Duration launchLimit,
    ReceptionLimits limits,
    CopyLimits copies,
    Sharing sharing,
    List<Path> hints) {
  public TargetSettings {
    hints = List.copyOf(hints);
  }
}
