package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.ProcessTable;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Signal;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.Surroundings;
import io.pageferry.integration.process.TargetHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A guest that comes to where a copy of it is brings only what differs. Its content is random, so
 * that nothing else makes it shorter.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(value = 180, unit = TimeUnit.SECONDS)
final class WarmStartTest {
  private static final List<String> COPIES = List.of("--copy-quota", "256M");
  private static final int CANCELLED = 4;

  private static DemoGuestSpec guest(Hosts hosts) {
    return DemoGuestSpec.uniform(hosts.guestName(), "32M", "1MB/s")
        .withPattern("random")
        .with("--working-set", "2M", "--write-bytes", "200");
  }

  private static Departure depart(
      SourceHost from, TargetHost to, DemoGuestSpec guest, PeerSecurity security, String... more)
      throws IOException {
    to.expect(guest);
    List<String> options = new ArrayList<>(COPIES);
    options.addAll(List.of("--bandwidth", "60MB/s", "--compress", "off", "--verify", "full"));
    options.addAll(List.of(more));
    return from.migrate(guest, to.address(), security, null, options, Terminal.DETACHED);
  }

  static List<String> copies(Path imageFolder, DemoGuestSpec guest) throws IOException {
    try (Stream<Path> files = Files.list(imageFolder)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.startsWith(guest.name() + ".") && name.contains(".copy-"))
          .toList();
    }
  }

  private static long wire(JsonNode report) {
    return report.path("bytes").path("wire").asLong();
  }

  private static long known(JsonNode report) {
    return report.path("pages").path("known").asLong();
  }

  @Test
  void aGuestThatReturnsBringsOnlyWhatHasChanged(Hosts hosts) throws Exception {
    SourceHost west = SourceHost.create(hosts.workplace(), "west");
    SourceHost east = SourceHost.create(hosts.workplace(), "east");
    TargetHost.Starting first = TargetHost.start(hosts.workplace(), "east", hosts.tls(), COPIES);
    TargetHost.Starting second =
        TargetHost.start(hosts.workplace(), "west", hosts.tls().exchange(), COPIES);
    DemoGuestSpec guest = guest(hosts);
    DemoGuest there = west.startGuest(guest).awaitReady();
    TargetHost toEast = first.awaitReady();
    TargetHost toWest = second.awaitReady();

    JsonNode away = Journey.arrived(depart(west, toEast, guest, hosts.tls()), toEast, guest);
    assertThat(known(away)).isZero();
    assertThat(wire(away)).isGreaterThan(guest.pages() * 4096);
    await().atMost(Journey.LIMIT).until(() -> !there.process().isAlive());
    assertThat(copies(west.imageFolder(), guest)).hasSize(1);
    RunningProcess status =
        west.command(List.of("status", "--state", west.state().toString()), Terminal.DETACHED);
    assertThat(status.awaitExit(Journey.LIMIT)).isZero();
    assertThat(status.transcript().text()).contains("copy of guest '" + guest.name());

    PeerSecurity back = hosts.tls().exchange();
    JsonNode home = Journey.arrived(depart(east, toWest, guest, back), toWest, guest);
    assertThat(known(home)).describedAs("%s", home).isGreaterThan(guest.pages() / 2);
    // It writes to a part of a page.
    assertThat(home.path("pages").path("partlyKnown").asLong())
        .describedAs("%s", home)
        .isPositive();
    assertThat(wire(home)).describedAs("%s", home).isLessThan(wire(away) / 2);
    assertThat(copies(west.imageFolder(), guest)).as("it is the guest's memory again").isEmpty();
    assertThat(copies(east.imageFolder(), guest)).hasSize(1);

    // A guest that still ends removes what has the name of its image.
    String image = guest.images(east.imageFolder()).getFirst().toString();
    await().atMost(Journey.LIMIT).until(() -> ProcessTable.mentioning(image).isEmpty());

    // Standing still it does not ask, and the copy is not there any more when it has come.
    JsonNode again =
        Journey.arrived(
            depart(west, toEast, guest, hosts.tls(), "--mode", "stop-and-copy"), toEast, guest);
    assertThat(known(again)).isZero();
    assertThat(copies(east.imageFolder(), guest)).isEmpty();
    DemoGuest.arrivedAt(toEast, guest).quit();
    first.agent().close();
    second.agent().close();
  }

  @Test
  void anAttemptThatWasCutOffIsTakenUp(Hosts hosts) throws Exception {
    TargetHost target =
        TargetHost.start(hosts.workplace(), "kept", hosts.tls(), COPIES).awaitReady();
    DemoGuestSpec spec = guest(hosts);
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    SourceHost holding =
        hosts.source().in(Surroundings.USUAL.with("PAGEFERRY_HOLD", "paused:60000"));
    Departure cut = depart(holding, target, spec, hosts.tls());
    cut.agent().awaitLine("paused", line -> line.equals("holding at paused"), Journey.LIMIT);
    cut.agent().signal(Signal.INT);
    int exit = cut.awaitExit(Journey.LIMIT);
    assertThat(exit).describedAs(cut.agent().transcript().text()).isEqualTo(CANCELLED);
    long before = wire(cut.report());
    await().atMost(Journey.LIMIT).until(() -> copies(target.imageFolder(), spec).size() == 1);
    await().atMost(Journey.LIMIT).until(guest::isRunning);

    JsonNode report =
        Journey.arrived(
            depart(hosts.source(), target, spec, hosts.tls(), "--mode", "hybrid"), target, spec);
    assertThat(known(report)).describedAs("%s", report).isGreaterThan(spec.pages() / 2);
    assertThat(wire(report)).describedAs("%s", report).isLessThan(before / 2);
    assertThat(copies(target.imageFolder(), spec)).isEmpty();
    DemoGuest.arrivedAt(target, spec).quit();
    target.agent().close();
  }
}
