package io.pageferry.integration.bench;

import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.ProcessFailure;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.Surroundings;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** A pair of hosts between which guests are moved and timed, one after the other. */
final class MeasuredMigrations {
  private static final Duration LIMIT = Duration.ofMinutes(3);

  private final SourceHost source;
  private final TargetHost target;
  private final PeerSecurity security;

  private MeasuredMigrations(SourceHost source, TargetHost target, PeerSecurity security) {
    this.source = source;
    this.target = target;
    this.security = security;
  }

  static MeasuredMigrations between(Workplace workplace, String name, PeerSecurity security)
      throws IOException, InterruptedException {
    return between(
        workplace, name, "127.0.0.1:0", security, Surroundings.USUAL, Surroundings.USUAL);
  }

  /**
   * A pair of hosts in surroundings of their own.
   *
   * @param listen address and port of the target
   */
  static MeasuredMigrations between(
      Workplace workplace,
      String name,
      String listen,
      PeerSecurity security,
      Surroundings ofSource,
      Surroundings ofTarget)
      throws IOException, InterruptedException {
    return new MeasuredMigrations(
        SourceHost.create(workplace, name + "-source", ofSource),
        TargetHost.start(workplace, name + "-target", listen, security, ofTarget, List.of())
            .awaitReady(),
        security);
  }

  /**
   * Starts a guest to be moved next.
   *
   * @throws IOException if it does not come up
   */
  DemoGuest start(DemoGuestSpec spec) throws IOException, InterruptedException {
    target.expect(spec);
    return source.startGuest(spec).awaitReady();
  }

  /** The same for a guest that moves before its pages. */
  Passage moveInPostcopy(DemoGuest guest, List<String> options)
      throws IOException, InterruptedException {
    List<String> all = new ArrayList<>(List.of("--mode", "postcopy"));
    all.addAll(options);
    return move(guest, all);
  }

  /**
   * Moves a guest and ends it on the target.
   *
   * @param options of the source agent
   * @throws IOException if it does not arrive
   */
  Passage move(DemoGuest guest, List<String> options) throws IOException, InterruptedException {
    Departure departure =
        source.migrate(guest.spec(), target.address(), security, null, options, Terminal.DETACHED);
    try (ResidentMemory sourceMemory = new ResidentMemory(departure.agent().pid());
        ResidentMemory targetMemory = new ResidentMemory(target.agent().pid())) {
      int exit = departure.awaitExit(LIMIT);
      if (exit != 0) {
        throw new ProcessFailure(
            "a measured migration ended with exit code %d%n%s%n%s"
                .formatted(exit, departure.agent().state(), target.agent().state()));
      }
      DemoGuest.arrivedAt(target, guest.spec()).quit();
      return Passage.of(departure.report(), sourceMemory.peakBytes(), targetMemory.peakBytes());
    }
  }
}
