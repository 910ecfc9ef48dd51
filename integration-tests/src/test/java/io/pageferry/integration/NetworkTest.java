package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.NetworkLink;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.Surroundings;
import io.pageferry.integration.process.TargetHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** Source and target in network namespaces of their own, with a slow link between them. */
@ExtendWith(Hosts.Shared.class)
final class NetworkTest {
  private static final double MEGA = 1e6;

  /** A frame of page batches, as long as it becomes on the wire. */
  private static final double FRAME = 260 * 1024;

  private static NetworkLink link;
  private static SourceHost source;
  private static TargetHost target;

  @BeforeAll
  static void connect(Hosts hosts) throws Exception {
    link = NetworkLink.create();
    source = hosts.source().in(Surroundings.USUAL.inNetwork(link.sourceNamespace()));
    target =
        TargetHost.start(
                hosts.workplace(),
                "remote",
                link.targetAddress(),
                hosts.tls(),
                Surroundings.USUAL.inNetwork(link.targetNamespace()),
                List.of())
            .awaitReady();
  }

  @AfterAll
  static void disconnect() {
    target.agent().close();
    link.close();
  }

  /** One test's slow link would be slower than the cap that the next one looks at. */
  @AfterEach
  void widen() throws Exception {
    link.lift();
  }

  private static Journey begin(Hosts hosts, DemoGuest guest, String... options) throws Exception {
    return Journey.begin(source, target, guest, hosts.tls(), null, options);
  }

  /** What the interface counted, and when. */
  private record Sample(long nanos, long bytes) {
    double rateSince(Sample earlier) {
      return (bytes - earlier.bytes) * 1e9 / (nanos - earlier.nanos);
    }

    boolean isSecondsAfter(Sample earlier, double seconds) {
      return nanos - earlier.nanos >= seconds * 1e9;
    }
  }

  /**
   * What has arrived in the target agent's network; no process is started for it, which would take
   * time of its own.
   */
  private static long received() throws IOException {
    Path devices = Path.of("/proc", Long.toString(target.agent().pid()), "net", "dev");
    return Files.readAllLines(devices).stream()
        .filter(line -> line.contains(":") && !line.strip().startsWith("lo:"))
        .mapToLong(line -> Long.parseLong(line.split(":", 2)[1].strip().split("\\s+", 2)[0]))
        .sum();
  }

  @Test
  void theBandwidthCapHoldsOverEachSecond(Hosts hosts) throws Exception {
    double cap = 20 * MEGA;
    DemoGuestSpec spec = DemoGuestSpec.uniform(hosts.guestName(), "96M", "0").withPattern("random");
    DemoGuest guest = source.startGuest(spec).awaitReady();
    // Nothing else than the cap holds back what is sent: no answer to an offer is waited for.
    Journey journey =
        begin(hosts, guest, "--bandwidth", "20MB/s", "--channels", "2", "--dedup", "off");
    journey.departure().agent().awaitLine("round 1", Journey.FIRST_ROUND, Journey.LIMIT);

    List<Sample> samples = new ArrayList<>();
    while (journey.departure().agent().isAlive()) {
      samples.add(new Sample(System.nanoTime(), received()));
      Thread.sleep(20);
    }
    journey.assertArrived();

    // From when it flows until it ebbs: the first and the last half second are start and
    // switchover.
    Sample first = samples.getFirst();
    Sample last = samples.getLast();
    List<Sample> steady =
        samples.stream()
            .filter(sample -> sample.isSecondsAfter(first, 0.5))
            .filter(sample -> last.isSecondsAfter(sample, 0.7))
            .toList();
    List<Double> seconds = new ArrayList<>();
    for (Sample begin : steady) {
      steady.stream()
          .filter(end -> end.isSecondsAfter(begin, 1))
          .findFirst()
          .ifPresent(end -> seconds.add(end.rateSince(begin) / cap));
    }
    assertThat(seconds).describedAs("seconds looked at").hasSizeGreaterThan(10);
    // A busy machine may hold back a second's last bytes and count them in the next, so not every
    // second is judged by itself: the typical one is, from both sides, and the sum of all. Less
    // than the cap allows is only what such a machine cannot do. A second that begins or ends
    // within a frame counts it whole or not at all.
    double tolerance = 0.02 + FRAME / cap;
    Collections.sort(seconds);
    assertThat(seconds.get(seconds.size() / 2))
        .describedAs("of the cap, in the typical second%n%s", journey.story())
        .isBetween(0.9, 1 + tolerance);
    assertThat(steady.getLast().rateSince(steady.getFirst()) / cap)
        .describedAs("of the cap, over all%n%s", journey.story())
        .isBetween(0.85, 1.02);
  }

  @Test
  void aGuestThatDirtiesFasterThanTheLinkIsPausedWhenToldSo(Hosts hosts) throws Exception {
    link.limit(100);
    DemoGuest guest = source.startGuest(restless(hosts)).awaitReady();
    JsonNode report =
        begin(hosts, guest, "--on-stall", "pause", "--max-rounds", "6").assertArrived();
    assertThat(report.path("rounds").size()).isBetween(2, 7);
    assertThat(report.path("times").path("downtimeMs").asDouble()).isGreaterThan(300);
  }

  @Test
  void aGuestThatDirtiesFasterThanTheLinkMovesAheadOfItsPages(Hosts hosts) throws Exception {
    link.limit(100);
    DemoGuest guest = source.startGuest(restless(hosts)).awaitReady();
    JsonNode report = begin(hosts, guest, "--max-rounds", "4").assertArrived();
    assertThat(report.path("mode").asText()).isEqualTo("precopy");
    assertThat(report.path("switchedBy").asText()).isEqualTo("stall");
    assertThat(report.path("pages").path("pushed").asLong()).isPositive();
  }

  @Test
  void aGuestThatDirtiesFasterThanTheLinkStaysWhenToldSo(Hosts hosts) throws Exception {
    link.limit(100);
    DemoGuest guest = source.startGuest(restless(hosts)).awaitReady();
    begin(hosts, guest, "--on-stall", "cancel", "--max-rounds", "6")
        .assertStayed(4, "dirties its memory faster than the link carries it", "runs on here");
  }

  private static DemoGuestSpec restless(Hosts hosts) {
    return DemoGuestSpec.uniform(hosts.guestName(), "32M", "120MB/s")
        .withPattern("random")
        .with("--working-set", "24M");
  }

  @Test
  void aCutCableIsNoticedWithinSecondsAndTheGuestStays(Hosts hosts) throws Exception {
    DemoGuest guest = source.startGuest(Journey.small(hosts)).awaitReady();
    Journey journey = begin(hosts, guest, "--bandwidth", "8MB/s", "--compress", "off");
    journey.departure().agent().awaitLine("round 1", Journey.FIRST_ROUND, Journey.LIMIT);
    long cut = System.nanoTime();
    link.cut();
    try {
      journey.awaitExit();
      // Without its own watch an agent would wait for TCP's, many minutes.
      assertThat((System.nanoTime() - cut) / 1e9).describedAs("seconds").isLessThan(50);
      journey.assertStayed(1, "runs on here");
    } finally {
      link.mend();
    }
  }
}
