package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.DescriptionFile;
import io.pageferry.integration.process.JavaCommand;
import io.pageferry.integration.process.ProcessTable;
import io.pageferry.integration.process.Program;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Signal;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.Surroundings;
import io.pageferry.integration.process.TargetHost;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Killed, or told to end, at each moment of a migration: at most one side runs the guest, it is
 * whole, and what is left of the attempt goes away. The moments are hit by making an agent wait
 * there ({@code PAGEFERRY_HOLD}).
 */
@ExtendWith(Hosts.Shared.class)
final class InterruptionTest {
  private static final int FAILED = 1;
  private static final int REFUSED = 3;
  private static final int CANCELLED = 4;
  private static final int RECOVERABLE = 5;
  private static final String HOLD = "PAGEFERRY_HOLD";
  private static final String LONG = ":60000";
  private static final String[] SLOWLY = {"--bandwidth", "4MB/s", "--compress", "off"};
  private static final AtomicInteger TARGETS = new AtomicInteger();

  private static @Nullable TargetHost lasting;

  private static TargetHost target(Hosts hosts, Surroundings surroundings) throws Exception {
    return TargetHost.start(
            hosts.workplace(),
            "interrupted" + TARGETS.incrementAndGet(),
            Hosts.lastingAddress(),
            hosts.tls(),
            surroundings,
            List.of("--abandon-after", "2s"))
        .awaitReady();
  }

  private static TargetHost target(Hosts hosts) throws Exception {
    return target(hosts, Surroundings.USUAL);
  }

  /** One for all tests that leave it alive. */
  private static TargetHost lasting(Hosts hosts) throws Exception {
    if (lasting == null || !lasting.agent().isAlive()) {
      lasting = target(hosts);
    }
    return lasting;
  }

  private static SourceHost holding(Hosts hosts, String hold) {
    return hosts.source().in(Surroundings.USUAL.with(HOLD, hold));
  }

  private static DemoGuest guest(Hosts hosts) throws Exception {
    return hosts.source().startGuest(Journey.small(hosts)).awaitReady();
  }

  private static Journey begin(
      Hosts hosts, SourceHost source, TargetHost target, DemoGuest guest, String... options)
      throws IOException {
    return Journey.begin(source, target, guest, hosts.tls(), null, options);
  }

  private static void awaitHold(RunningProcess agent, String phase) throws Exception {
    agent.awaitLine(phase, line -> line.equals("holding at " + phase), Journey.LIMIT);
  }

  private static void awaitFirstRound(Journey journey) throws Exception {
    journey.departure().agent().awaitLine("round 1", Journey.FIRST_ROUND, Journey.LIMIT);
    await("tracking").atMost(Journey.LIMIT).until(() -> journey.trackers() > 0);
  }

  private static void run(RunningProcess process, int exit) throws Exception {
    assertThat(process.awaitExit(Journey.LIMIT)).describedAs(process.state()).isEqualTo(exit);
  }

  private static RunningProcess recover(Hosts hosts) throws Exception {
    return hosts
        .source()
        .command(
            List.of("recover", "--state", hosts.source().state().toString()), Terminal.DETACHED);
  }

  private static RunningProcess sweep(Hosts hosts, TargetHost target) throws Exception {
    return hosts
        .workplace()
        .start(
            "target sweep",
            JavaCommand.of(Program.TARGET, List.of("sweep", "--state", target.state().toString())),
            Terminal.DETACHED,
            Map.of());
  }

  @Test
  void sourceKilledWhileTheGuestRuns(Hosts hosts) throws Exception {
    Journey journey = begin(hosts, hosts.source(), lasting(hosts), guest(hosts), SLOWLY);
    awaitFirstRound(journey);
    RunningProcess killed = journey.departure().agent();
    killed.signal(Signal.KILL);
    journey.awaitExit();
    journey.assertUnharmed();
    journey.settledOnTarget();
    Path socket = hosts.source().state().resolve("run/source-%d.sock".formatted(killed.pid()));
    assertThat(socket).exists();
    run(recover(hosts), 0);
    assertThat(socket).doesNotExist();
    journey.guest().quit();
  }

  @Test
  void sourceKilledWhileTheTargetPrepares(Hosts hosts) throws Exception {
    Hold reserved = Hold.at("reserved", hosts);
    TargetHost target = target(hosts, reserved.surroundings());
    Journey journey = begin(hosts, hosts.source(), target, guest(hosts));
    reserved.awaitReached(target.agent());
    journey.departure().agent().signal(Signal.KILL);
    journey.awaitExit();
    run(recover(hosts), 0);
    reserved.release();
    journey.assertUnharmed();
    journey.settledOnTarget();
    journey.guest().quit();
    target.agent().close();
  }

  @ParameterizedTest
  @CsvSource({
    "precopy,  paused",
    "precopy,  prepared",
    "precopy,  handed-over",
    "postcopy, paused",
    "postcopy, prepared",
    "postcopy, handed-over",
  })
  void sourceKilledWhileTheGuestStandsStill(String mode, String phase, Hosts hosts)
      throws Exception {
    SourceHost source = holding(hosts, phase + LONG);
    Journey journey = begin(hosts, source, lasting(hosts), guest(hosts), "--mode", mode);
    awaitHold(journey.departure().agent(), phase);
    journey.departure().agent().signal(Signal.KILL);
    journey.awaitExit();
    assertThat(journey.guest().isRunning()).isFalse();
    run(recover(hosts), 0);
    journey.assertUnharmed();
    journey.settledOnTarget();
    journey.guest().quit();
  }

  @Test
  void targetKilledWhileTheGuestRuns(Hosts hosts) throws Exception {
    TargetHost target = target(hosts);
    Journey journey = begin(hosts, hosts.source(), target, guest(hosts), SLOWLY);
    awaitFirstRound(journey);
    target.agent().signal(Signal.KILL);
    assertGivenUp(hosts, journey, target);
  }

  @ParameterizedTest
  @CsvSource({"precopy, reserved", "precopy, prepared", "postcopy, prepared"})
  void targetKilledBeforeItWasGivenTheGuest(String mode, String phase, Hosts hosts)
      throws Exception {
    TargetHost target = target(hosts, Surroundings.USUAL.with(HOLD, phase + LONG));
    Journey journey = begin(hosts, hosts.source(), target, guest(hosts), "--mode", mode);
    awaitHold(target.agent(), phase);
    target.agent().signal(Signal.KILL);
    assertGivenUp(hosts, journey, target);
  }

  /** The source knows by the time it would hand the guest over, so it does not. */
  @Test
  void targetKilledWhenItIsReadyForTheGuest(Hosts hosts) throws Exception {
    TargetHost target = target(hosts);
    Hold prepared = Hold.at("prepared", hosts);
    SourceHost source = hosts.source().in(prepared.surroundings());
    Journey journey = begin(hosts, source, target, guest(hosts));
    RunningProcess agent = journey.departure().agent();
    prepared.awaitReached(agent);
    int sockets = ProcessTable.descriptors(agent.pid(), "socket:");
    target.agent().signal(Signal.KILL);
    await("the loss of its control, data and fault connection")
        .atMost(Journey.LIMIT)
        .until(() -> ProcessTable.descriptors(agent.pid(), "socket:") <= sockets - 3);
    prepared.release();
    assertGivenUp(hosts, journey, target);
  }

  private static void assertGivenUp(Hosts hosts, Journey journey, TargetHost target)
      throws Exception {
    assertThat(journey.awaitExit()).describedAs(journey.story()).isEqualTo(FAILED);
    journey.assertSaid("runs on here");
    journey.assertUnharmed();
    run(sweep(hosts, target), 0);
    journey.settledOnTarget();
    journey.guest().quit();
  }

  /** It never ran there and the target can tell, so it is the source's again. */
  @ParameterizedTest
  @ValueSource(strings = {"precopy", "postcopy"})
  void theGuestEndsOnTheTargetBeforeItRunsThere(String mode, Hosts hosts) throws Exception {
    Hold takenOver = Hold.at("taken-over", hosts);
    TargetHost target = target(hosts, takenOver.surroundings());
    Journey journey = begin(hosts, hosts.source(), target, guest(hosts), "--mode", mode);
    takenOver.awaitReached(target.agent());
    journey.killThere();
    takenOver.release();
    journey.assertStayed(FAILED, "the target gave the guest back", "runs on here");
    assertThat(target.agent().transcript().text()).contains("never ran on the target");
    target.agent().close();
  }

  /** A source that lost the connection is not told of a guest that waits for pages before that. */
  @Test
  void theGuestEndsOnTheTargetBeforeItRunsThereAndTheLinkIsLost(Hosts hosts) throws Exception {
    Hold takenOver = Hold.at("taken-over", hosts);
    TargetHost target = target(hosts, takenOver.surroundings());
    try (Relay relay = Relay.to(target)) {
      Journey journey =
          Journey.begin(
              hosts.source(),
              relay,
              target,
              guest(hosts),
              hosts.tls(),
              "--mode",
              "postcopy",
              "--settle-for",
              "120s");
      takenOver.awaitReached(target.agent());
      relay.cut(Relay.Break.RESET);
      relay.mend();
      journey
          .departure()
          .agent()
          .awaitLine("asks", line -> line.contains("waiting for it to run there"), Journey.LIMIT);
      journey.killThere();
      takenOver.release();
      journey.assertStayed(FAILED, "the target gave the guest back", "runs on here");
    }
    target.agent().close();
  }

  @ParameterizedTest
  @CsvSource({
    "precopy,  taken-over",
    "precopy,  started",
    "postcopy, taken-over",
    "postcopy, started",
    "hybrid,   fetching",
  })
  void targetKilledAfterItTookTheGuest(String mode, String phase, Hosts hosts) throws Exception {
    TargetHost target = target(hosts, Surroundings.USUAL.with(HOLD, phase + LONG));
    Journey journey =
        begin(
            hosts,
            hosts.source(),
            target,
            guest(hosts),
            "--mode",
            mode,
            "--settle-for",
            "1s",
            "--recover-for",
            "1s");
    awaitHold(target.agent(), phase);
    target.agent().signal(Signal.KILL);
    assertThat(journey.awaitExit()).describedAs(journey.story()).isEqualTo(RECOVERABLE);
    journey.assertSaid("source recover");
    assertThat(journey.guest().isRunning()).describedAs("the guest runs on the source").isFalse();

    TargetHost again = hosts.restarted(target);
    DemoGuest there = DemoGuest.arrivedAt(again, journey.guest().spec());
    await("the guest on the target").atMost(Journey.LIMIT).until(there::isRunning);
    run(recover(hosts), 0);
    assertThat(there.verify().path("faultsFound").asLong()).isZero();
    await("the guest's end on the source")
        .atMost(Duration.ofSeconds(60))
        .until(() -> !journey.guest().process().isAlive());
    there.quit();
    again.agent().stop(Duration.ofSeconds(5));
  }

  @Test
  void ctrlCWhileNobodyAnswers(Hosts hosts) throws Exception {
    DemoGuest guest = guest(hosts);
    SourceHost source = hosts.source();
    Path description =
        DescriptionFile.ofSource(guest.spec(), source.folder(), source.imageFolder(), null)
            .writeTo(source.folder().resolve(guest.spec().name() + ".yaml"));
    try (ServerSocket mute = new ServerSocket(0, 5, InetAddress.getLoopbackAddress())) {
      mute.setSoTimeout((int) Journey.LIMIT.toMillis());
      Journey journey =
          Journey.observed(
              source,
              hosts.target(),
              guest,
              source.migrate(
                  description,
                  "127.0.0.1:" + mute.getLocalPort(),
                  hosts.tls(),
                  List.of(),
                  Terminal.DETACHED));
      try (Socket connected = mute.accept()) {
        assertThat(connected.isConnected()).isTrue();
        journey.departure().agent().signal(Signal.INT);
        journey.assertStayed(CANCELLED, "cancelled", "runs on here");
      }
    }
  }

  @Test
  void ctrlCWhileTheTargetPrepares(Hosts hosts) throws Exception {
    Hold reserved = Hold.at("reserved", hosts);
    TargetHost target = target(hosts, reserved.surroundings());
    Journey journey = begin(hosts, hosts.source(), target, guest(hosts), SLOWLY);
    reserved.awaitReached(target.agent());
    journey.departure().agent().signal(Signal.INT);
    reserved.release();
    journey.assertStayed(CANCELLED, "cancelled", "runs on here");
  }

  @Test
  void ctrlCWhileTheGuestRuns(Hosts hosts) throws Exception {
    Journey journey = begin(hosts, hosts.source(), hosts.target(), guest(hosts), SLOWLY);
    awaitFirstRound(journey);
    journey.departure().agent().signal(Signal.INT);
    journey.assertStayed(CANCELLED, "cancelled", "runs on here");
  }

  @ParameterizedTest
  @ValueSource(strings = {"paused", "prepared"})
  void ctrlCWhileTheGuestStandsStill(String phase, Hosts hosts) throws Exception {
    Journey journey = begin(hosts, holding(hosts, phase + LONG), hosts.target(), guest(hosts));
    awaitHold(journey.departure().agent(), phase);
    journey.departure().agent().signal(Signal.INT);
    journey.assertStayed(CANCELLED, "cancelled", "runs on here");
  }

  @Test
  void ctrlCIsTooLateOnceTheGuestIsHandedOver(Hosts hosts) throws Exception {
    Hold handedOver = Hold.at("handed-over", hosts);
    SourceHost source = hosts.source().in(handedOver.surroundings());
    Journey journey = begin(hosts, source, hosts.target(), guest(hosts));
    RunningProcess agent = journey.departure().agent();
    handedOver.awaitReached(agent);
    agent.signal(Signal.INT);
    agent.awaitLine("the answer", line -> line.contains("Too late to cancel"), Journey.LIMIT);
    handedOver.release();
    journey.assertArrived();
  }

  @Test
  void sourceCancelStopsTheMigration(Hosts hosts) throws Exception {
    Journey journey = begin(hosts, hosts.source(), hosts.target(), guest(hosts), SLOWLY);
    awaitFirstRound(journey);
    run(
        hosts
            .source()
            .command(
                List.of("cancel", "--state", hosts.source().state().toString()), Terminal.DETACHED),
        0);
    journey.assertStayed(CANCELLED, "source cancel", "runs on here");
  }

  @ParameterizedTest
  @ValueSource(strings = {"INT", "TERM"})
  void targetToldToEndWhileTheGuestRuns(String signal, Hosts hosts) throws Exception {
    TargetHost target = target(hosts);
    Journey journey = begin(hosts, hosts.source(), target, guest(hosts), SLOWLY);
    awaitFirstRound(journey);
    target.agent().signal(Signal.valueOf(signal));
    journey.assertStayed(FAILED, "runs on here");
    target.agent().awaitExit(Journey.LIMIT);
  }

  @Test
  void targetToldToEndWhileItPrepares(Hosts hosts) throws Exception {
    Hold reserved = Hold.at("reserved", hosts);
    TargetHost target = target(hosts, reserved.surroundings());
    Journey journey = begin(hosts, hosts.source(), target, guest(hosts));
    reserved.awaitReached(target.agent());
    target.agent().signal(Signal.TERM);
    target.agent().awaitLine("its end", line -> line.contains("stopping"), Journey.LIMIT);
    reserved.release();
    // Whether it comes to accept the guest or not.
    assertThat(journey.awaitExit()).describedAs(journey.story()).isIn(FAILED, REFUSED);
    journey.assertSaid("the target agent is being stopped", "runs on here");
    journey.assertUnharmed();
    journey.settledOnTarget();
    journey.guest().quit();
    target.agent().awaitExit(Journey.LIMIT);
  }

  @Test
  void theGuestEndsInMidRound(Hosts hosts) throws Exception {
    Journey journey = begin(hosts, hosts.source(), hosts.target(), guest(hosts), SLOWLY);
    awaitFirstRound(journey);
    journey.guest().process().signal(Signal.KILL);
    assertThat(journey.awaitExit()).describedAs(journey.story()).isEqualTo(FAILED);
    journey.assertSaid("guest ended");
    journey.settledOnTarget();
  }

  /** Who asks it to stand still gets no answer, and must not leave that wish behind. */
  @Test
  void theGuestStopsAnsweringInMidRound(Hosts hosts) throws Exception {
    DemoGuest guest = guest(hosts);
    SourceHost source = hosts.source();
    Path description =
        Files.writeString(
            source.folder().resolve(guest.spec().name() + ".yaml"),
            DescriptionFile.ofSource(guest.spec(), source.folder(), source.imageFolder(), null)
                .text()
                .replace("timeout: 10s", "timeout: 2s"));
    hosts.target().expect(guest.spec());
    Journey journey =
        Journey.observed(
            source,
            hosts.target(),
            guest,
            source.migrate(
                description,
                hosts.target().address(),
                hosts.tls(),
                List.of("--bandwidth", "24MB/s", "--compress", "off"),
                Terminal.DETACHED));
    awaitFirstRound(journey);
    guest.process().signal(Signal.STOP);
    try {
      int exit = journey.awaitExit();
      assertThat(exit).describedAs(journey.story()).isIn(FAILED, RECOVERABLE);
      guest.process().signal(Signal.CONT);
      if (exit == RECOVERABLE) {
        journey.assertSaid("source recover");
        run(recover(hosts), 0);
      }
    } finally {
      guest.process().signal(Signal.CONT);
    }
    journey.assertUnharmed();
    journey.settledOnTarget();
    guest.quit();
  }

  /** Pages that were zero gave their space back; others take it while the guest writes to them. */
  @Test
  void theTargetsFileSystemFillsUpInMidRound(Hosts hosts) throws Exception {
    TargetHost target =
        TargetHost.start(hosts.workplace(), "narrow", hosts.tls(), List.of()).awaitReady();
    Mount.tmpfs(target.imageFolder(), "56m");
    try {
      DemoGuestSpec spec = Journey.small(hosts).withPattern("mostly-zero");
      DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
      Journey journey =
          begin(
              hosts,
              hosts.source(),
              target,
              guest,
              "--bandwidth",
              "6MB/s",
              "--compress",
              "off",
              "--downtime-limit",
              "1ms",
              "--dirty-threshold",
              "0",
              "--on-stall",
              "pause");
      awaitFirstRound(journey);
      fill(target.imageFolder().resolve("another"), journey.departure().agent());
      journey.assertStayed(FAILED, "no space left", "runs on here");
      target.agent().close();
    } finally {
      Mount.remove(target.imageFolder());
    }
  }

  /** Takes whatever becomes free, as long as the agent lives. */
  private static void fill(Path file, RunningProcess agent) throws Exception {
    ByteBuffer page = ByteBuffer.allocate(4096);
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      while (agent.isAlive()) {
        try {
          channel.write(page.clear());
        } catch (IOException full) {
          Thread.sleep(2);
        }
      }
    }
  }

  /** Only its control can tell: for this way of moving it has handed nothing over. */
  @Test
  void theGuestEndsWhileItStandsStill(Hosts hosts) throws Exception {
    Hold paused = Hold.at("paused", hosts);
    SourceHost source = hosts.source().in(paused.surroundings());
    Journey journey = begin(hosts, source, hosts.target(), guest(hosts), "--mode", "stop-and-copy");
    paused.awaitReached(journey.departure().agent());
    journey.guest().process().signal(Signal.KILL);
    journey.guest().process().awaitExit(Journey.LIMIT);
    paused.release();
    assertThat(journey.awaitExit()).describedAs(journey.story()).isEqualTo(FAILED);
    journey.assertSaid("guest ended", "process is gone");
    journey.settledOnTarget();
  }
}
