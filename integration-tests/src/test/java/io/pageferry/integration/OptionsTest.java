package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.DescriptionFile;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.TargetHost;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** What a user may set, and what memory may lie in, each by one migration that shows it. */
@ExtendWith(Hosts.Shared.class)
final class OptionsTest {
  private static DemoGuestSpec spec(Hosts hosts) {
    return DemoGuestSpec.uniform(hosts.guestName(), "16M", "40MB/s").withPattern("random");
  }

  private static DemoGuest guest(Hosts hosts) throws Exception {
    return hosts.source().startGuest(spec(hosts)).awaitReady();
  }

  /** Begins to move a guest by a description that differs from the usual one. */
  private static Journey begin(
      Hosts hosts, DemoGuest guest, String usual, String instead, String... options)
      throws Exception {
    SourceHost source = hosts.source();
    String text =
        DescriptionFile.ofSource(guest.spec(), source.folder(), source.imageFolder(), null).text();
    assertThat(text).contains(usual);
    Path description =
        Files.writeString(
            source.folder().resolve(guest.spec().name() + ".yaml"), text.replace(usual, instead));
    hosts.target().expect(guest.spec());
    Departure departure =
        source.migrate(
            description,
            hosts.target().address(),
            hosts.tls(),
            List.of(options),
            Terminal.DETACHED);
    return Journey.observed(source, hosts.target(), guest, departure);
  }

  @Test
  void fewPagesLeftEndTheRoundsAndMetricsTellOfThem(Hosts hosts) throws Exception {
    DemoGuest guest = guest(hosts);
    String metrics = Hosts.lastingAddress();
    Journey journey =
        Journey.begin(
            hosts,
            guest,
            "--bandwidth",
            "8MB/s",
            "--dirty-threshold",
            "100000",
            "--downtime-limit",
            "20s",
            "--metrics",
            metrics);
    try (HttpClient client = HttpClient.newHttpClient()) {
      HttpRequest request =
          HttpRequest.newBuilder(URI.create("http://" + metrics + "/metrics")).build();
      journey.departure().agent().awaitLine("round 1", Journey.FIRST_ROUND, Journey.LIMIT);
      assertThat(client.send(request, BodyHandlers.ofString()).body())
          .contains("pageferry_", "# TYPE");
    }
    JsonNode report = journey.assertArrived();
    assertThat(report.path("rounds").size()).describedAs("%s", report).isEqualTo(2);
    assertThat(journey.story()).contains("at most 100000 pages are left");
  }

  @Test
  void aMultipleOfTheMemoryIsAllThatIsSentWhileItRuns(Hosts hosts) throws Exception {
    Journey journey =
        Journey.begin(
            hosts,
            guest(hosts),
            "--bandwidth",
            "24MB/s",
            "--max-sent",
            "1.3",
            "--dirty-threshold",
            "0",
            "--downtime-limit",
            "1ms",
            "--compress",
            "off",
            "--on-stall",
            "pause");
    JsonNode report = journey.assertArrived();
    assertThat(report.path("times").path("downtimeMs").asDouble())
        .describedAs("the limit was not kept, as it was told to")
        .isGreaterThan(1);
    assertThat(report.path("rounds").size()).describedAs("%s", report).isBetween(2, 5);
  }

  @Test
  void aGuestThatIsToBeKeptStaysPaused(Hosts hosts) throws Exception {
    DemoGuest guest = guest(hosts);
    Journey journey = begin(hosts, guest, "afterwards: quit", "afterwards: keep");
    assertThat(journey.awaitExit()).describedAs(journey.story()).isZero();
    assertThat(guest.process().isAlive()).isTrue();
    assertThat(guest.isRunning()).describedAs("the guest runs on the source").isFalse();
    assertThat(guest.images().getFirst()).exists();
    DemoGuest there = DemoGuest.arrivedAt(hosts.target(), guest.spec());
    assertThat(there.isRunning()).describedAs("the guest runs on the target").isTrue();
    assertThat(there.verify().path("faultsFound").asLong()).isZero();
    guest.quit();
    there.quit();
    journey.settledOnTarget();
  }

  /** As a memfd is: memory with a file's descriptor and no name. */
  @Test
  void anImageWithoutANameIsReachedThroughItsProcess(Hosts hosts) throws Exception {
    DemoGuest guest = guest(hosts);
    Path image = guest.images().getFirst();
    Path open = descriptorOf(guest, image);
    Files.delete(image);
    begin(hosts, guest, image.toString(), open.toString(), "--verify", "full").assertArrived();
  }

  private static Path descriptorOf(DemoGuest guest, Path file) throws IOException {
    try (Stream<Path> descriptors =
        Files.list(Path.of("/proc", Long.toString(guest.process().pid()), "fd"))) {
      for (Path descriptor : descriptors.toList()) {
        if (Files.exists(descriptor) && Files.isSameFile(descriptor, file)) {
          return descriptor;
        }
      }
    }
    throw new AssertionError("the guest does not have " + file + " open");
  }

  @Test
  void imagesOnADiskArriveOnADisk(Hosts hosts) throws Exception {
    SourceHost source = SourceHost.create(hosts.workplace(), "disk-source");
    Path disk = hosts.workplace().subfolder("disk");
    Mount.folder(Files.createDirectory(disk.resolve("source")), source.imageFolder());
    TargetHost target =
        TargetHost.start(hosts.workplace(), "disk-target", hosts.tls(), List.of()).awaitReady();
    Mount.folder(Files.createDirectory(disk.resolve("target")), target.imageFolder());
    try {
      DemoGuest guest = source.startGuest(spec(hosts)).awaitReady();
      assertThat(disk.resolve("source").resolve(guest.spec().name() + ".ram0")).exists();
      Journey.begin(source, target, guest, hosts.tls(), null, "--verify", "full").assertArrived();
      target.agent().close();
    } finally {
      Mount.remove(source.imageFolder());
      Mount.remove(target.imageFolder());
    }
  }
}
