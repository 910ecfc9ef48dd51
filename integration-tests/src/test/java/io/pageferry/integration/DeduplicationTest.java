package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.TargetHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Guests of the same content, most of which they never write, and which is random: nothing else
 * makes it shorter.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(value = 180, unit = TimeUnit.SECONDS)
final class DeduplicationTest {
  private static DemoGuestSpec guest(Hosts hosts) {
    return DemoGuestSpec.uniform(hosts.guestName(), "16M", "1MB/s")
        .withPattern("random")
        .with("--working-set", "2M");
  }

  private static Departure depart(Hosts hosts, TargetHost to, DemoGuestSpec guest, String... more)
      throws IOException {
    to.expect(guest);
    List<String> options = new ArrayList<>();
    options.addAll(List.of("--bandwidth", "40MB/s", "--compress", "off", "--verify", "full"));
    options.addAll(List.of(more));
    return hosts
        .source()
        .migrate(guest, to.address(), hosts.tls(), null, options, Terminal.DETACHED);
  }

  private static long wire(JsonNode report) {
    return report.path("bytes").path("wire").asLong();
  }

  private static long deduplicated(JsonNode report) {
    return report.path("pages").path("deduplicated").asLong();
  }

  @Test
  void whatTwoGuestsShareCrossesOnce(Hosts hosts) throws Exception {
    TargetHost.Starting starting =
        TargetHost.start(hosts.workplace(), "sharing", hosts.tls(), List.of("--share", "sender"));
    DemoGuestSpec one = guest(hosts);
    DemoGuestSpec other = guest(hosts);
    DemoGuest first = hosts.source().startGuest(one);
    DemoGuest second = hosts.source().startGuest(other);
    first.awaitReady();
    second.awaitReady();
    TargetHost target = starting.awaitReady();
    Departure departing = depart(hosts, target, one);
    Departure beside = depart(hosts, target, other, "--channels", "2");
    JsonNode arrived = Journey.arrived(departing, target, one);
    JsonNode arrivedBeside = Journey.arrived(beside, target, other);
    long content = one.pages() * 4096;
    String both = arrived + "\n" + arrivedBeside;
    // Seven eighths are the same; one that is held up has asked for a good half of that by then.
    assertThat(deduplicated(arrived) + deduplicated(arrivedBeside))
        .describedAs(both)
        .isGreaterThan(one.pages() / 4);
    assertThat(wire(arrived) + wire(arrivedBeside))
        .describedAs(both)
        .isGreaterThan(content)
        .isLessThan(2 * content);

    // Its memory is one more file, for a target that is told of it.
    Path older = hosts.workplace().folder().resolve("older.img");
    Files.copy(one.images(target.imageFolder()).getFirst(), older);
    DemoGuest.arrivedAt(target, one).quit();
    DemoGuest.arrivedAt(target, other).quit();
    target.agent().close();
    TargetHost hinted =
        TargetHost.start(
                hosts.workplace(),
                "hinted",
                hosts.tls(),
                List.of("--share", "none", "--hint", older.toString()))
            .awaitReady();
    hinted.agent().awaitLine("hint", line -> line.contains("can be found here"), Journey.LIMIT);
    DemoGuestSpec third = guest(hosts);
    hosts.source().startGuest(third).awaitReady();
    JsonNode arrivedThird = Journey.arrived(depart(hosts, hinted, third), hinted, third);
    assertThat(deduplicated(arrivedThird))
        .describedAs("%s", arrivedThird)
        .isGreaterThan(third.pages() / 2);
    assertThat(wire(arrivedThird)).describedAs("%s", arrivedThird).isLessThan(content / 2);

    DemoGuestSpec fourth = guest(hosts);
    hosts.source().startGuest(fourth).awaitReady();
    JsonNode plain =
        Journey.arrived(depart(hosts, hinted, fourth, "--dedup", "off"), hinted, fourth);
    assertThat(deduplicated(plain)).isZero();
    assertThat(wire(plain)).isGreaterThan(content);
    DemoGuest.arrivedAt(hinted, third).quit();
    DemoGuest.arrivedAt(hinted, fourth).quit();
    hinted.agent().close();
    Files.delete(older);
  }

  /** Offers in vain are few on a slow link: more than a third of these pages go without one. */
  @Test
  void whatCameUnofferedOverASlowLinkIsFoundByOthers(Hosts hosts) throws Exception {
    TargetHost target =
        TargetHost.start(hosts.workplace(), "unoffered", hosts.tls(), List.of("--share", "sender"))
            .awaitReady();
    List<DemoGuestSpec> guests = new ArrayList<>();
    List<JsonNode> reports = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      DemoGuestSpec guest =
          DemoGuestSpec.uniform(hosts.guestName(), "64M", "0").withPattern("random");
      hosts.source().startGuest(guest).awaitReady();
      target.expect(guest);
      Departure departure =
          hosts
              .source()
              .migrate(
                  guest,
                  target.address(),
                  hosts.tls(),
                  null,
                  List.of("--bandwidth", "12MB/s", "--channels", "1"),
                  Terminal.DETACHED);
      reports.add(Journey.arrived(departure, target, guest));
      guests.add(guest);
    }
    assertThat(deduplicated(reports.getFirst())).isZero();
    assertThat(deduplicated(reports.getLast()))
        .describedAs("%s", reports.getLast())
        .isGreaterThan(guests.getLast().pages() * 4 / 5);
    for (DemoGuestSpec guest : guests) {
      DemoGuest.arrivedAt(target, guest).quit();
    }
    target.agent().close();
  }

  /** A link that is waited for at the offers is as slow as one that is waited for at the pages. */
  @Test
  void whatIsOfferedInVainIsPackedAsMuchAsEver(Hosts hosts) throws Exception {
    DemoGuestSpec spec = DemoGuestSpec.uniform(hosts.guestName(), "48M", "0").withPattern("text");
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    JsonNode pages =
        Journey.begin(hosts, guest, "--bandwidth", "8MB/s", "--dedup", "on")
            .assertArrived()
            .path("pages");
    assertThat(pages.path("raw").asLong()).describedAs("%s", pages).isLessThan(spec.pages() / 4);
  }
}
