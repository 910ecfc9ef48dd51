package io.pageferry.integration.bench;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DatabaseLoad;
import io.pageferry.integration.process.GuestConsole.Beat;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.QemuGuestSpec;
import io.pageferry.integration.process.QemuKit;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.util.List;

/**
 * A Linux guest in QEMU with a database that is worked with, which moves to and fro between two
 * hosts. Driver thread only.
 */
final class DatabaseGuest implements AutoCloseable {
  /** Its memory. */
  static final int MEMORY_MIB = 512;

  /** With kernel, Redis and what it needs besides the records, this fills most of the memory. */
  private static final int RECORDS = 370_000;

  private static final int OPERATIONS_PER_SECOND = 4000;
  private static final long SEED = 1;

  private final WanderingGuest guest;
  private final PeerSecurity security;
  private final List<TargetHost> hosts;
  private int moves;
  private Beat since;

  private DatabaseGuest(WanderingGuest guest, PeerSecurity security, List<TargetHost> hosts) {
    this.guest = guest;
    this.security = security;
    this.hosts = hosts;
    this.since = guest.lastBeat();
  }

  /** What is done with it, with so many of a hundred operations that only read. */
  static DatabaseLoad load(int readPercent) {
    return new DatabaseLoad(RECORDS, OPERATIONS_PER_SECOND, readPercent, SEED);
  }

  /**
   * Boots it and waits until it has filled its database.
   *
   * @param name of the guest and its hosts
   * @param readPercent how many of a hundred operations only read
   * @throws IOException if it does not come up
   */
  static DatabaseGuest boot(
      Workplace workplace, PeerSecurity security, QemuKit kit, String name, int readPercent)
      throws IOException, InterruptedException {
    WanderingGuest guest =
        WanderingGuest.boot(
            workplace, QemuGuestSpec.ofDatabase(name, kit, MEMORY_MIB, load(readPercent)));
    return new DatabaseGuest(
        guest,
        security,
        List.of(
            host(workplace, name + "-east", security), host(workplace, name + "-west", security)));
  }

  private static TargetHost host(Workplace workplace, String name, PeerSecurity security)
      throws IOException, InterruptedException {
    return TargetHost.start(workplace, name, security, List.of()).awaitReady();
  }

  /**
   * Moves it to the other host.
   *
   * @param options of the source agent
   * @return what the source agent reports
   * @throws IOException if it does not arrive
   */
  JsonNode move(List<String> options) throws IOException, InterruptedException {
    return guest.reportedByPageferry(hosts.get(moves++ % hosts.size()), security, options);
  }

  /** Operations a second since this was asked last. */
  double operationsPerSecond() {
    Beat before = since;
    since = guest.lastBeat();
    return (since.number() - before.number()) * 1e9 / (since.nanos() - before.nanos());
  }

  /**
   * Has it compare all of its database with what was stored.
   *
   * @throws IOException if it ever found something else
   */
  void verify() throws IOException, InterruptedException {
    guest.verify();
  }

  @Override
  public void close() throws IOException {
    guest.close();
    for (TargetHost host : hosts) {
      host.agent().close();
    }
  }
}
