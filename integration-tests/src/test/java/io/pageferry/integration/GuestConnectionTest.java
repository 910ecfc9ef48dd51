package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.Caller;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.GuestConsole;
import io.pageferry.integration.process.GuestNetwork;
import io.pageferry.integration.process.GuestNetwork.Host;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.ProcessTable;
import io.pageferry.integration.process.QemuGuest;
import io.pageferry.integration.process.QemuGuestSpec;
import io.pageferry.integration.process.QemuKit;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.Surroundings;
import io.pageferry.integration.process.TargetHost;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A guest that keeps its address on another host, and a TCP client outside of both that keeps its
 * connection. QEMU's own announcement of a guest that has moved is switched off, so that what the
 * network learns it learns from the agent's.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(600)
final class GuestConnectionTest {
  private static final int MEMORY_MIB = 192;
  private static final long PAGES_PER_SECOND = 1000;
  private static final Duration LIMIT = Duration.ofMinutes(2);

  /** A host that guests leave and come to. */
  private record Station(Host host, SourceHost source, TargetHost target) implements AutoCloseable {
    static Station open(Hosts hosts, GuestNetwork network, Host host) throws Exception {
      String name = hosts.guestName() + "-" + host.name().toLowerCase(Locale.ROOT);
      Surroundings there = network.on(host, Surroundings.USUAL);
      TargetHost target =
          TargetHost.start(hosts.workplace(), name, host.listen(), hosts.tls(), there, List.of())
              .awaitReady();
      return new Station(host, SourceHost.create(hosts.workplace(), name, there), target);
    }

    @Override
    public void close() {
      target.agent().close();
    }
  }

  /** A guest where it has arrived, and the report of how. */
  private record Moved(QemuGuest guest, JsonNode report) {}

  private static Moved move(
      QemuGuest here, Station from, Station to, PeerSecurity security, String mode)
      throws Exception {
    QemuGuestSpec spec = here.spec();
    to.target.expect(spec);
    QemuGuest there = QemuGuest.expectedAt(to.target, spec);
    Departure departure =
        from.source.migrate(
            spec, to.target.address(), security, null, List.of("--mode", mode), Terminal.DETACHED);
    assertThat(departure.awaitExit(LIMIT))
        .describedAs(
            "%s%n--- target:%n%s",
            departure.agent().transcript().text(), to.target.agent().transcript().text())
        .isZero();
    JsonNode report = departure.report();
    assertThat(report.path("mode").asText()).isEqualTo(mode);
    assertThat(report.path("verified").asBoolean()).isTrue();
    GuestConsole.Beat first = there.console().awaitFirstBeat(LIMIT);
    // A beat that was cut in two by the move is heard on neither side, one that waited in the
    // serial
    // port on both, and the last ones before it may still be on their way to us.
    await("the heartbeat to go on where it stopped")
        .atMost(LIMIT)
        .untilAsserted(
            () -> {
              long last = Objects.requireNonNull(here.console().lastBeat()).number();
              assertThat(first.number()).isBetween(last, last + 3);
            });
    here.close();
    // QEMU leaves the file of its memory, which would be in the way of the guest's return.
    Path image = spec.images(from.source.imageFolder()).getFirst();
    await("the end of the guest's old process")
        .atMost(LIMIT)
        .until(() -> ProcessTable.mentioning(image.toString()).isEmpty());
    Files.delete(image);
    return new Moved(there, report);
  }

  @Test
  void aClientKeepsItsConnectionWhereverTheGuestRuns(Hosts hosts) throws Exception {
    QemuKit kit = QemuTest.kit(hosts.workplace().subfolder("connected")).withDevices();
    try (GuestNetwork network = GuestNetwork.create();
        Station alpha = Station.open(hosts, network, Host.ALPHA);
        Station beta = Station.open(hosts, network, Host.BETA)) {
      QemuGuestSpec spec =
          network
              .join(QemuGuestSpec.of(hosts.guestName(), kit, MEMORY_MIB, PAGES_PER_SECOND))
              .with("-global", "migration.announce-rounds=0");
      QemuGuest guest = alpha.source.startGuest(spec);
      long pages = guest.awaitReady();
      assertThat(guest.console().faults()).isEmpty();
      try (Caller caller = network.call()) {
        caller.talk();
        caller.awaitAnswer(LIMIT);
        assertThat(network.guestsPlace()).contains(Host.ALPHA);

        Moved byPrecopy = move(guest, alpha, beta, hosts.tls(), "precopy");
        assertThat(byPrecopy.report.path("tracking").asText()).isEqualTo("userfaultfd-wp");
        assertThat(byPrecopy.report.path("pages").path("resent").asLong()).isPositive();
        caller.awaitAnswer(LIMIT);
        assertThat(network.guestsPlace()).contains(Host.BETA);

        Moved byPostcopy = move(byPrecopy.guest, beta, alpha, hosts.tls(), "postcopy");
        assertThat(byPostcopy.report.path("faults").path("count").asLong()).isPositive();
        caller.awaitAnswer(LIMIT);
        assertThat(network.guestsPlace()).contains(Host.ALPHA);

        // With nobody talking, the guest has no reason to say a word where it has arrived.
        Caller.Conversation before = caller.hush(LIMIT);
        guest = move(byPostcopy.guest, alpha, beta, hosts.tls(), "precopy").guest;
        await("the switch to know where the guest is")
            .atMost(LIMIT)
            .untilAsserted(() -> assertThat(network.guestsPlace()).contains(Host.BETA));
        caller.talk();
        caller.awaitAnswer(LIMIT);
        assertThat(caller.hush(LIMIT).lines()).isGreaterThan(before.lines());
      }
      assertThat(guest.verify())
          .satisfies(found -> assertThat(found.faults()).isZero())
          .satisfies(found -> assertThat(found.pages()).isEqualTo(pages));
      guest.quit();
    } finally {
      QemuTest.endGuests(hosts, kit);
    }
  }
}
