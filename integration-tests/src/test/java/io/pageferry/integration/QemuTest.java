package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.GuestConsole;
import io.pageferry.integration.process.JavaCommand;
import io.pageferry.integration.process.Leftovers;
import io.pageferry.integration.process.ProcessTable;
import io.pageferry.integration.process.Program;
import io.pageferry.integration.process.QemuGuest;
import io.pageferry.integration.process.QemuGuestSpec;
import io.pageferry.integration.process.QemuKit;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Signal;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.SystemCommand;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.integration.process.Transcript;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.opentest4j.TestAbortedException;

/**
 * Linux in an unmodified QEMU: it moves, or it stays when it cannot, and finds its memory whole
 * either way. Its heartbeat on the serial line says when it ran and where.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(600)
final class QemuTest {
  private static final int MEMORY_MIB = 192;
  private static final long PAGES_PER_SECOND = 2000;
  private static final Duration LIMIT = Duration.ofMinutes(2);

  private static QemuKit kit;

  private Hosts hosts;
  private SourceHost source;
  private TargetHost target;

  @BeforeAll
  static void prepare(Hosts hosts) throws Exception {
    kit = kit(hosts.workplace().subfolder("qemu"));
  }

  static QemuKit kit(Path folder) throws Exception {
    return orLeftOut(() -> QemuKit.prepare(folder));
  }

  /** What a guest is made of. */
  interface Preparation {
    QemuKit prepare() throws Exception;
  }

  /** A machine without QEMU runs the other tests; where all have to run, that is an error. */
  static QemuKit orLeftOut(Preparation preparation) throws Exception {
    try {
      return preparation.prepare();
    } catch (QemuKit.NotInstalled missing) {
      if (System.getenv("PAGEFERRY_ALL_TESTS") != null) {
        throw missing;
      }
      System.out.println("The tests with QEMU are left out: " + missing.getMessage());
      throw new TestAbortedException(missing.getMessage());
    }
  }

  @BeforeEach
  void remember(Hosts shared) throws Exception {
    hosts = shared;
    source = shared.source();
    target = shared.target();
  }

  @AfterEach
  void noGuestIsLeft() throws Exception {
    endGuests(hosts, kit);
  }

  /** Ends what a test has left running in QEMU, on either host. */
  static void endGuests(Hosts hosts, QemuKit kit) throws Exception {
    for (ProcessTable.Entry left :
        ProcessTable.mentioning(hosts.workplace().imageFolder().toString())) {
      if (left.command().contains(kit.program().toString())) {
        ProcessHandle.of(left.pid()).ifPresent(ProcessHandle::destroyForcibly);
      }
    }
  }

  private QemuGuestSpec spec() {
    return QemuGuestSpec.of(hosts.guestName(), kit, MEMORY_MIB, PAGES_PER_SECOND);
  }

  private Departure migrate(QemuGuestSpec spec, String... options) throws Exception {
    return source.migrate(
        spec, target.address(), hosts.tls(), null, List.of(options), Terminal.DETACHED);
  }

  private String story(Departure departure) {
    return departure.agent().transcript().text()
        + "--- target:\n"
        + target.agent().transcript().text();
  }

  /** By pre-copy and by post-copy it moves in {@link GuestConnectionTest}. */
  @Test
  void movesByHybrid() throws Exception {
    // As whoever starts it may have set it for migrations of his own, on both sides.
    QemuGuestSpec spec =
        spec().with("-global", "migration.x-multifd=on", "-global", "migration.x-return-path=on");
    try (QemuGuest here = source.startGuest(spec)) {
      final long pages = here.awaitReady();
      target.expect(here.spec());
      try (QemuGuest there = QemuGuest.expectedAt(target, here.spec())) {
        Departure departure = migrate(here.spec(), "--mode", "hybrid");
        assertThat(departure.awaitExit(LIMIT)).describedAs(story(departure)).isZero();
        GuestConsole.Beat first = there.console().awaitFirstBeat(LIMIT);
        GuestConsole.Verification verification = there.verify();
        assertThat(verification.faults()).describedAs("%s", there.console().faults()).isZero();
        assertThat(verification.pages()).isEqualTo(pages);
        GuestConsole.Beat last = Objects.requireNonNull(here.console().lastBeat());
        // A beat that was cut in two by the move is heard on neither side, one that waited in the
        // serial port on both.
        assertThat(first.number()).isBetween(last.number(), last.number() + 3);
        await("the end of the guest on the source")
            .atMost(LIMIT)
            .until(() -> !here.process().isAlive());
        assertOwnSettings(there);
        there.quit();
        JsonNode report = departure.report();
        assertThat(report.path("mode").asText()).isEqualTo("hybrid");
        assertThat(report.path("verified").asBoolean()).isTrue();
        assertThat(report.path("tracking").asText()).isEqualTo("userfaultfd-wp");
      }
    }
  }

  /**
   * What its kernel does not use any more is a hole in the file, once its balloon has told QEMU.
   */
  @Test
  void whatTheGuestHasFreedIsNotSent() throws Exception {
    QemuGuestSpec spec =
        QemuGuestSpec.of(hosts.guestName(), kit.withDevices(), MEMORY_MIB, PAGES_PER_SECOND)
            .withContent(new QemuGuestSpec.Content(8, 8, 48))
            .with("-device", "virtio-balloon-pci,free-page-reporting=on");
    try (QemuGuest here = source.startGuest(spec)) {
      final long filled = here.awaitReady();
      Path image = spec.images(source.imageFolder()).getFirst();
      long before = pagesOf(image);
      long freed = here.freeNoise();
      assertThat(freed).isEqualTo(48 << 8);
      await("the guest's kernel to report what is free")
          .atMost(LIMIT)
          .until(() -> pagesOf(image) < before - freed * 3 / 4);
      target.expect(spec);
      try (QemuGuest there = QemuGuest.expectedAt(target, spec)) {
        Departure departure = migrate(spec);
        assertThat(departure.awaitExit(LIMIT)).describedAs(story(departure)).isZero();
        JsonNode report = departure.report();
        JsonNode pages = report.path("pages");
        assertThat(pages.path("total").asLong() - pages.path("zero").asLong())
            .describedAs("%s", report)
            .isLessThan(before - freed / 2);
        assertThat(report.path("verified").asBoolean()).isTrue();
        there.console().awaitFirstBeat(LIMIT);
        GuestConsole.Verification verification = there.verify();
        assertThat(verification.faults()).describedAs("%s", there.console().faults()).isZero();
        assertThat(verification.pages()).isEqualTo(filled - freed);
        // There it is free as well.
        assertThat(pagesOf(spec.images(target.imageFolder()).getFirst()))
            .isLessThan(before - freed / 2);
        there.quit();
      }
    }
  }

  /** How many of its pages are no holes. */
  private static long pagesOf(Path image) throws Exception {
    return Long.parseLong(SystemCommand.run("stat", "--format=%b", image.toString()).strip()) / 8;
  }

  private static void assertOwnSettings(QemuGuest guest) throws Exception {
    assertThat(guest.hasCapability("multifd")).isTrue();
    assertThat(guest.hasCapability("return-path")).isTrue();
    assertThat(guest.hasCapability("x-ignore-shared")).isFalse();
  }

  @Test
  void theDemoMovesItToo() throws Exception {
    Path json = hosts.workplace().folder().resolve("qemu-demo.json");
    RunningProcess demo =
        hosts
            .workplace()
            .start(
                "demo",
                JavaCommand.of(
                    Program.DEMO,
                    List.of("--guest", "qemu", "--network", "--json", json.toString())),
                Terminal.DETACHED,
                Map.of());
    assertThat(demo.awaitExit(LIMIT)).describedAs(demo.state()).isZero();
    JsonNode report = new ObjectMapper().readTree(Files.readString(json));
    assertThat(report.path("verified").asBoolean()).isTrue();
    assertThat(report.path("guestDowntimeMs").asDouble()).isPositive();
    assertThat(report.path("client").path("lines").asLong()).isPositive();
    assertThat(demo.transcript().text())
        .contains(
            "by the heartbeat on its serial line",
            "none torn, stale or misplaced",
            "none lost or doubled")
        .doesNotContain("Exception");
  }

  @Test
  void theDemoLeavesNoNetworkOnCtrlC() throws Exception {
    RunningProcess demo =
        hosts
            .workplace()
            .start(
                "demo",
                JavaCommand.of(Program.DEMO, List.of("--guest", "qemu", "--network")),
                Terminal.DETACHED,
                Map.of());
    demo.awaitLine("the guest boots", line -> line.startsWith("Starting a Linux guest"), LIMIT);
    Path namespaces = Path.of("/run/netns");
    String mark = "pf" + demo.pid() + "-";
    assertThat(namespaces)
        .isDirectoryContaining(file -> file.getFileName().toString().startsWith(mark));
    demo.signal(Signal.INT);
    assertThat(demo.awaitExit(LIMIT)).describedAs(demo.state()).isEqualTo(4);
    assertThat(namespaces)
        .isDirectoryNotContaining(file -> file.getFileName().toString().startsWith(mark));
    assertThat(ProcessTable.mentioning("pageferry-demo-" + demo.pid() + "-")).isEmpty();
  }

  /** One guest lives through all of it. */
  @Test
  void staysWhereTheTargetIsNotItsLike() throws Exception {
    try (QemuGuest guest = source.startGuest(spec())) {
      guest.awaitReady();
      QemuGuestSpec spec = guest.spec();

      // QEMU does not mind a file that is too large: the rest of it would be nobody's memory.
      target.expect(spec.withMemory(MEMORY_MIB / 2));
      stayed(guest, migrate(spec), 3, MEMORY_MIB / 2 + " MiB", "size");

      target.expect(spec.withMachine("pc-i440fx-7.1"));
      stayed(guest, migrate(spec), 3, "only the target's has machine type pc-i440fx-7.1");

      target.expect(spec);
      Departure slow = migrate(spec, "--bandwidth", "10MB/s", "--compress", "off");
      slow.agent().awaitLine("the first round", Journey.FIRST_ROUND, LIMIT);
      kill(spec.images(target.imageFolder()).getFirst());
      stayed(guest, slow, 1, "ended");

      slow = migrate(spec, "--bandwidth", "10MB/s", "--compress", "off");
      slow.agent().awaitLine("the first round", Journey.FIRST_ROUND, LIMIT);
      guest.process().signal(Signal.KILL);
      assertThat(slow.awaitExit(LIMIT)).describedAs(story(slow)).isEqualTo(1);
      assertThat(sentence(slow)).contains("gone");
      settledOnTarget(spec);
    }
  }

  /**
   * Both sides have the same disk, whose locks the target does not take before it is told to run: a
   * guest that is given back at the last moment could not go on otherwise.
   */
  @Test
  void goesOnWithItsDiskWhereItIsGivenBack() throws Exception {
    Path disk = hosts.workplace().folder().resolve("disk.raw");
    Files.write(disk, new byte[1 << 20]);
    QemuGuestSpec spec =
        spec()
            .with(
                "-drive",
                "file=%s,format=raw,if=none,id=disk".formatted(disk),
                "-device",
                "virtio-blk-pci,drive=disk");
    try (QemuGuest guest = source.startGuest(spec);
        Relay relay = Relay.to(target)) {
      final long pages = guest.awaitReady();
      target.expect(spec);
      Hold prepared = Hold.at("prepared", hosts);
      Departure departure =
          source
              .in(prepared.surroundings())
              .migrate(spec, relay.address(), hosts.tls(), null, List.of(), Terminal.DETACHED);
      prepared.awaitReached(departure.agent());
      long agent = departure.agent().pid();
      int sockets = ProcessTable.descriptors(agent, "socket:");
      relay.cut(Relay.Break.RESET);
      // Else the guest may be handed over before the loss is seen.
      await("the loss of its control, data and fault connection")
          .atMost(LIMIT)
          .until(() -> ProcessTable.descriptors(agent, "socket:") <= sockets - 3);
      prepared.release();
      assertThat(departure.awaitExit(LIMIT)).describedAs(story(departure)).isEqualTo(1);
      assertThat(sentence(departure)).contains("runs on here").doesNotContain("lock");
      guest.console().awaitNextBeat(LIMIT);
      relay.mend();
      settledOnTarget(spec);

      try (QemuGuest there = QemuGuest.expectedAt(target, spec)) {
        Departure again = migrate(spec);
        assertThat(again.awaitExit(LIMIT)).describedAs(story(again)).isZero();
        GuestConsole.Verification verification = there.verify();
        assertThat(verification.faults()).isZero();
        assertThat(verification.pages()).isEqualTo(pages);
        there.quit();
      }
    }
  }

  @Test
  void staysWithMemoryThatNobodyElseSees() throws Exception {
    QemuGuestSpec spec = spec().withMemoryOptions("share=off");
    try (QemuGuest guest = source.startGuest(spec)) {
      guest.console().awaitConnected(LIMIT);
      // There is nothing in the file; what QEMU would write goes elsewhere.
      Path image = spec.images(source.imageFolder()).getFirst();
      await("QEMU to make its file")
          .atMost(LIMIT)
          .until(() -> Files.exists(image) && Files.size(image) == (long) MEMORY_MIB << 20);
      target.expect(spec);
      Departure departure = migrate(spec);
      assertThat(departure.awaitExit(LIMIT)).describedAs(story(departure)).isEqualTo(3);
      assertThat(sentence(departure)).contains("share=on", "memory-backend-file", image.toString());
      assertThat(guest.isRunning()).isTrue();
    }
  }

  private void stayed(QemuGuest guest, Departure departure, int exit, String... said)
      throws Exception {
    assertThat(departure.awaitExit(LIMIT)).describedAs(story(departure)).isEqualTo(exit);
    assertThat(sentence(departure)).contains(said);
    guest.console().awaitNextBeat(LIMIT);
    assertThat(guest.verify().faults()).isZero();
    assertThat(guest.hasCapability("x-ignore-shared")).isFalse();
    settledOnTarget(guest.spec());
  }

  private void settledOnTarget(QemuGuestSpec spec) {
    await("a tidy target")
        .atMost(LIMIT)
        .untilAsserted(() -> assertThat(Leftovers.onTarget(target, spec)).isEmpty());
  }

  private static void kill(Path image) throws Exception {
    List<ProcessTable.Entry> found = ProcessTable.mentioning(image.toString());
    assertThat(found).hasSize(1);
    ProcessHandle.of(found.getFirst().pid()).ifPresent(ProcessHandle::destroyForcibly);
  }

  private static String sentence(Departure departure) {
    return String.join("\n", departure.agent().transcript().lines(Transcript.Stream.ERR));
  }
}
