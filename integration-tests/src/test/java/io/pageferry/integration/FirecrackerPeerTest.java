package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.RunningProcess.Signal;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.Surroundings;
import io.pageferry.integration.process.TargetHost;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The shipped target agent serves a guest that hands its memory over as Firecracker does: a C
 * program with anonymous private memory and a descriptor of its own making. It has the memory of a
 * demo guest that is left behind paused, and compares each page with that.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(value = 180, unit = TimeUnit.SECONDS)
final class FirecrackerPeerTest {
  private static final int FAILED = 1;
  private static final int REFUSED = 3;
  private static final long MIB = 1 << 20;

  private static Path program = Path.of("");

  @BeforeAll
  static void compile(Hosts hosts) throws Exception {
    program = CProgram.compile("uffd_guest", hosts.workplace().folder());
  }

  private static DemoGuestSpec spec(Hosts hosts, int mebibytes, int regions) {
    return DemoGuestSpec.uniform(hosts.guestName(), mebibytes + "M", "20MB/s").withRegions(regions);
  }

  private static Path log(TargetHost target, DemoGuestSpec spec) {
    return target.folder().resolve(spec.name() + ".log");
  }

  /** Describes the program as the guest of this name, with the memory and the socket it has. */
  private static void describe(
      TargetHost target, DemoGuestSpec spec, List<Path> images, long bytes, String... more)
      throws IOException {
    describe(target, spec, images, bytes, bytes, socket(target, spec), more);
  }

  /**
   * As the other, whatever the program does then.
   *
   * @param own how many bytes its regions have
   * @param connects where it hands them over
   */
  private static void describe(
      TargetHost target,
      DemoGuestSpec spec,
      List<Path> images,
      long bytes,
      long own,
      Path connects,
      String... more)
      throws IOException {
    String memory =
        IntStream.range(0, images.size())
            .mapToObj(region -> "{ name: ram%d, size: %d }".formatted(region, bytes))
            .collect(Collectors.joining(", "));
    List<String> launch = new ArrayList<>();
    launch.add(program.toString());
    launch.add("--memory");
    launch.add(images.stream().map(image -> Long.toString(own)).collect(Collectors.joining(",")));
    launch.addAll(List.of("--qmp", target.qmp(spec).toString()));
    launch.addAll(List.of("--handover", connects.toString()));
    launch.add("--rule");
    launch.add(images.stream().map(Path::toString).collect(Collectors.joining(",", "file:", "")));
    launch.addAll(List.of(more));
    Files.writeString(
        target.descriptionOf(spec),
        """
        name: %s
        memory: [%s]
        control: { qmp: "%s", timeout: 10s }
        handover: "%s"
        launch: [%s]
        log: "%s"
        """
            .formatted(
                spec.name(),
                memory,
                target.qmp(spec),
                socket(target, spec),
                launch.stream().map(word -> '"' + word + '"').collect(Collectors.joining(", ")),
                log(target, spec)));
  }

  private static Path socket(TargetHost target, DemoGuestSpec spec) {
    return target.folder().resolve(spec.name() + ".uffd");
  }

  private static Journey begin(Hosts hosts, TargetHost target, DemoGuest guest, String... options)
      throws IOException {
    return Journey.observed(
        hosts.source(),
        target,
        guest,
        hosts
            .source()
            .migrate(
                guest.spec(),
                target.address(),
                hosts.tls(),
                null,
                List.of(options),
                Terminal.DETACHED));
  }

  /** It has checked each page, and found nothing; ends it. */
  private static String assertWhole(TargetHost target, DemoGuestSpec spec, long pages)
      throws Exception {
    DemoGuest there = DemoGuest.answeringAt(target.qmp(spec), spec);
    JsonNode verification = there.verify();
    String said = Files.readString(log(target, spec));
    assertThat(verification.path("faultsFound").asLong())
        .describedAs("%s%n%s", verification, said)
        .isZero();
    assertThat(verification.path("pagesVerified").asLong()).isEqualTo(pages);
    there.quit();
    return said;
  }

  @Test
  void itsMemoryArrivesPageByPage(Hosts hosts) throws Exception {
    TargetHost target = hosts.target();
    DemoGuestSpec spec = spec(hosts, 48, 2);
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    describe(target, spec, guest.images(), 24 * MIB);
    Journey journey =
        begin(
            hosts,
            target,
            guest,
            "--mode",
            "postcopy",
            "--channels",
            "2",
            "--bandwidth",
            "40MB/s",
            "--compress",
            "off");
    assertThat(journey.awaitExit()).describedAs(journey.story()).isZero();
    JsonNode report = journey.departure().report();
    assertThat(report.path("verified").asBoolean()).describedAs(journey.story()).isTrue();
    assertThat(report.path("faults").path("count").asLong()).isPositive();
    assertWhole(target, spec, 48 * MIB / 4096);
    journey.settledOnTarget();
  }

  @Test
  void whatItGivesBackReadsAsZeroForEver(Hosts hosts) throws Exception {
    TargetHost target = hosts.target();
    DemoGuestSpec spec = spec(hosts, 32, 1);
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    // Before any of it has come, after some of it has, and while it comes.
    describe(
        target,
        spec,
        guest.images(),
        32 * MIB,
        "--remove",
        "100:512",
        "--remove",
        "3000:700",
        "--remove",
        "8000:100",
        "--pause-us",
        "20");
    Journey journey = begin(hosts, target, guest, "--mode", "postcopy", "--bandwidth", "40MB/s");
    assertThat(journey.awaitExit()).describedAs(journey.story()).isZero();
    assertThat(assertWhole(target, spec, 32 * MIB / 4096)).contains("removed=1312");
    journey.settledOnTarget();
  }

  @Test
  void itCannotTakeMemoryBeforeItRuns(Hosts hosts) throws Exception {
    TargetHost target = hosts.target();
    DemoGuestSpec spec = spec(hosts, 16, 1);
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    describe(target, spec, guest.images(), 16 * MIB);
    Journey journey = begin(hosts, target, guest, "--mode", "stop-and-copy");
    journey.assertStayed(REFUSED, "runs on here");
  }

  /** Both of them only show when the guest loads its state, which the source has sent by then. */
  @ParameterizedTest
  @CsvSource({"8388608, uffd, did not hand over all of region", "16777216, other, did not connect"})
  void withoutItsMemoryItDoesNotMove(long own, String suffix, String sentence, Hosts hosts)
      throws Exception {
    TargetHost target = hosts.target();
    DemoGuestSpec spec = spec(hosts, 16, 1);
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    Path connects = target.folder().resolve(spec.name() + "." + suffix);
    describe(target, spec, guest.images(), 16 * MIB, own, connects);
    Files.writeString(
        target.descriptionOf(spec),
        Files.readString(target.descriptionOf(spec)).replace("timeout: 10s", "timeout: 4s"));
    begin(hosts, target, guest, "--mode", "postcopy").assertStayed(FAILED, sentence);
    assertThat(socket(target, spec)).doesNotExist();
  }

  /** One guest tries to leave again and again: no attempt harms it or leaves anything behind. */
  @Test
  void whatIsNoHandoverIsRefusedAndTheGuestStays(Hosts hosts) throws Exception {
    Map<String, String> sentences =
        Map.of(
            "empty", "without a handover message",
            "truncated", "the handover message breaks off",
            "no-descriptor", "no descriptor came",
            "two-descriptors", "2 descriptors came",
            "overlapping", "regions overlap",
            "unaligned", "is not aligned");
    TargetHost target = hosts.target();
    DemoGuestSpec spec = spec(hosts, 16, 1);
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    for (Map.Entry<String, String> refused : sentences.entrySet()) {
      describe(target, spec, guest.images(), 16 * MIB, "--message", refused.getKey());
      Journey journey = begin(hosts, target, guest, "--mode", "postcopy");
      assertThat(journey.awaitExit()).describedAs(journey.story()).isEqualTo(FAILED);
      journey.assertSaid(refused.getValue(), "runs on here");
      journey.assertUnharmed();
      journey.settledOnTarget();
      assertThat(socket(target, spec)).doesNotExist();
    }
    guest.quit();
  }

  @Test
  void anotherAgentTakesItUpAgain(Hosts hosts) throws Exception {
    TargetHost killed =
        TargetHost.start(
                hosts.workplace(),
                "peer-host",
                Hosts.lastingAddress(),
                hosts.tls(),
                Surroundings.USUAL,
                List.of())
            .awaitReady();
    DemoGuestSpec spec = spec(hosts, 24, 1);
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    describe(killed, spec, guest.images(), 24 * MIB);
    Journey journey = begin(hosts, killed, guest, "--mode", "postcopy", "--bandwidth", "6MB/s");
    journey.departure().agent().awaitLine("serving", Journey.SERVING, Journey.LIMIT);
    killed.agent().signal(Signal.KILL);
    TargetHost target = hosts.restarted(killed);
    journey = journey.to(target);
    assertThat(journey.awaitExit()).describedAs(journey.story()).isZero();
    assertThat(journey.story()).contains("taken up again");
    assertWhole(target, spec, 24 * MIB / 4096);
    journey.settledOnTarget();
    target.agent().close();
  }
}
