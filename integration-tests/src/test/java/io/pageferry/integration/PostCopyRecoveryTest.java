package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.JavaCommand;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.ProcessTable;
import io.pageferry.integration.process.Program;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Signal;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.Surroundings;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.protocol.frame.FrameType;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The link cut, an agent killed, the guest killed while a guest runs on the target and much of its
 * memory is still on the source: the guest loses nothing but time. The random points are a {@link
 * Drill}'s; several of them hit one migration, because each is taken up again where it was.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(value = 480, unit = TimeUnit.SECONDS)
final class PostCopyRecoveryTest {
  private static final int FAILED = 1;
  private static final int RECOVERABLE = 5;
  private static final long MIB = 1 << 20;
  private static final Duration LONG = Duration.ofSeconds(150);
  private static final AtomicInteger TARGETS = new AtomicInteger();

  private static TargetHost target(Hosts hosts, PeerSecurity security) throws Exception {
    return TargetHost.start(
            hosts.workplace(),
            "cut-off" + TARGETS.incrementAndGet(),
            Hosts.lastingAddress(),
            security,
            Surroundings.USUAL,
            List.of("--abandon-after", "2s"))
        .awaitReady();
  }

  /** Every page of it has to cross, at its full size. */
  private static DemoGuest guest(Hosts hosts, int mebibytes) throws Exception {
    DemoGuestSpec spec =
        DemoGuestSpec.uniform(hosts.guestName(), mebibytes + "M", "10MB/s").withPattern("random");
    return hosts.source().startGuest(spec).awaitReady();
  }

  private static SourceHost source(Hosts hosts, UUID id) {
    return hosts.source().in(Surroundings.USUAL.with("PAGEFERRY_SOURCE_MIGRATION", id.toString()));
  }

  private static void awaitServing(Journey journey) throws Exception {
    journey.departure().agent().awaitLine("serving", Journey.SERVING, Journey.LIMIT);
  }

  /** Waits until what was planned at a byte was done; no longer than the agent lives. */
  private static void awaitDone(
      CompletableFuture<Void> planned, RunningProcess agent, TargetHost target) throws Exception {
    await("the next point")
        .pollInterval(Duration.ofMillis(5))
        .atMost(Journey.LIMIT)
        .until(() -> planned.isDone() || !agent.isAlive());
    if (!planned.isDone()) {
      // The agent's end may be what was planned.
      try {
        planned.get(Journey.LIMIT.toSeconds(), TimeUnit.SECONDS);
      } catch (java.util.concurrent.TimeoutException never) {
        throw new AssertionError(
            "it ended before the next point\n" + agent.state() + target.agent().state(), never);
      }
    }
    try {
      planned.get();
    } catch (ExecutionException failed) {
      throw new AssertionError(failed.getCause());
    }
  }

  private static RunningProcess recover(Hosts hosts, UUID id, String... more) throws Exception {
    List<String> command = new ArrayList<>(List.of("recover", id.toString()));
    command.addAll(List.of("--state", hosts.source().state().toString()));
    command.addAll(List.of(more));
    return hosts.source().command(command, Terminal.DETACHED);
  }

  @Test
  void theLinkIsCutAtRandomPoints(Hosts hosts) throws Exception {
    int mebibytes = 48;
    TargetHost target = target(hosts, hosts.tls());
    DemoGuest guest = guest(hosts, mebibytes);
    Drill.run(
        "link",
        20,
        drill -> {
          try (Relay relay = Relay.to(target)) {
            Journey journey =
                Journey.begin(
                    hosts.source(),
                    relay,
                    target,
                    guest,
                    hosts.tls(),
                    "--mode",
                    "postcopy",
                    "--bandwidth",
                    "16MB/s",
                    "--channels",
                    "2");
            awaitServing(journey);
            RunningProcess agent = journey.departure().agent();
            for (long distance : drill.distances(mebibytes * MIB * 3 / 4)) {
              Relay.Break how =
                  drill.random().nextBoolean() ? Relay.Break.HANG_UP : Relay.Break.RESET;
              int outage = drill.random().nextInt(600);
              drill.note(distance + " bytes: " + how + " for " + outage + " ms;");
              awaitDone(relay.after(distance, () -> relay.cut(how)), agent, target);
              Thread.sleep(outage);
              relay.mend();
            }
            journey.departure().awaitExit(LONG);
            JsonNode report = journey.assertArrived();
            assertThat(report.path("faults").path("count").asLong()).isPositive();
          }
        });
    target.agent().close();
  }

  @Test
  void aLinkThatFallsSilentIsNoticed(Hosts hosts) throws Exception {
    DemoGuest guest = guest(hosts, 24);
    try (Relay relay = Relay.to(hosts.target())) {
      Journey journey =
          Journey.begin(
              hosts.source(),
              relay,
              hosts.target(),
              guest,
              hosts.tls(),
              "--mode",
              "postcopy",
              "--bandwidth",
              "12MB/s");
      awaitServing(journey);
      awaitDone(
          relay.after(4 * MIB, () -> relay.cut(Relay.Break.SILENCE)),
          journey.departure().agent(),
          hosts.target());
      relay.mend();
      journey.assertArrived();
    }
  }

  @Test
  void theTargetIsKilledAtRandomPoints(Hosts hosts) throws Exception {
    int mebibytes = 48;
    TargetHost first = target(hosts, hosts.tls());
    DemoGuest guest = guest(hosts, mebibytes);
    Drill.run(
        "target",
        20,
        drill -> {
          TargetHost target = first;
          try (Relay relay = Relay.to(target)) {
            Journey journey =
                Journey.begin(
                    hosts.source(),
                    relay,
                    target,
                    guest,
                    hosts.tls(),
                    "--mode",
                    "postcopy",
                    "--bandwidth",
                    "20MB/s",
                    "--channels",
                    "2");
            awaitServing(journey);
            RunningProcess agent = journey.departure().agent();
            for (long distance : drill.distances(mebibytes * MIB * 3 / 4)) {
              drill.note("killed after " + distance + " bytes;");
              TargetHost victim = target;
              awaitDone(
                  relay.after(distance, () -> victim.agent().signal(Signal.KILL)), agent, target);
              target = hosts.restarted(victim);
            }
            journey.departure().awaitExit(LONG);
            journey.to(target).assertMoved();
          }
          target.agent().close();
        });
  }

  @Test
  void theSourceIsKilledAtRandomPoints(Hosts hosts) throws Exception {
    int mebibytes = 48;
    UUID id = UUID.randomUUID();
    TargetHost target = hosts.target();
    DemoGuest guest = guest(hosts, mebibytes);
    Drill.run(
        "source",
        20,
        drill -> {
          try (Relay relay = Relay.to(target)) {
            Journey journey =
                Journey.begin(
                    source(hosts, id),
                    relay,
                    target,
                    guest,
                    hosts.tls(),
                    "--mode",
                    "postcopy",
                    "--bandwidth",
                    "20MB/s",
                    "--channels",
                    "2");
            awaitServing(journey);
            RunningProcess agent = journey.departure().agent();
            for (long distance : drill.distances(mebibytes * MIB * 3 / 4)) {
              drill.note("killed after " + distance + " bytes;");
              RunningProcess victim = agent;
              awaitDone(relay.after(distance, () -> victim.signal(Signal.KILL)), agent, target);
              victim.awaitExit(Journey.LIMIT);
              assertThat(guest.isRunning()).describedAs("the guest runs on the source").isFalse();
              agent = recover(hosts, id);
            }
            assertThat(agent.awaitExit(LONG)).describedAs(agent.state()).isZero();
            journey.assertWhole(mebibytes * MIB / 4096);
          }
        });
  }

  /** The link is cut, then the target agent killed. */
  private static void recovers(
      Hosts hosts, TargetHost first, String mode, String dirtyRate, long distance)
      throws Exception {
    TargetHost target = first;
    DemoGuestSpec spec =
        DemoGuestSpec.uniform(hosts.guestName(), "32M", dirtyRate).withPattern("random");
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    try (Relay relay = Relay.to(target)) {
      Journey journey =
          Journey.begin(
              hosts.source(),
              relay,
              target,
              guest,
              hosts.tls(),
              "--mode",
              mode,
              "--bandwidth",
              "16MB/s");
      awaitServing(journey);
      RunningProcess agent = journey.departure().agent();
      awaitDone(relay.after(distance, () -> relay.cut(Relay.Break.RESET)), agent, target);
      relay.mend();
      awaitDone(relay.after(distance, () -> first.agent().signal(Signal.KILL)), agent, target);
      target = hosts.restarted(first);
      journey.departure().awaitExit(LONG);
      JsonNode report = journey.to(target).assertMoved();
      assertThat(report.path("mode").asText()).isEqualTo(mode);
      assertThat(journey.to(target).story()).contains("taken up again");
    }
    target.agent().close();
  }

  /** Much of what the rounds have brought is stale when the guest is switched. */
  @Test
  void aHybridIsTakenUpAgain(Hosts hosts) throws Exception {
    recovers(hosts, target(hosts, hosts.tls()), "hybrid", "60MB/s", 2 * MIB);
  }

  @Test
  void memoryOfHugePagesIsTakenUpAgain(Hosts hosts) throws Exception {
    try (HugePages reserved = new HugePages(20)) {
      assertThat(reserved).isNotNull();
      TargetHost target = target(hosts, hosts.tls());
      Mount.hugePages(target.imageFolder());
      try {
        recovers(hosts, target, "postcopy", "10MB/s", 6 * MIB);
      } finally {
        Mount.remove(target.imageFolder());
      }
    }
  }

  /**
   * Cuts the connections instead of letting a frame of each of these types pass, once, in order.
   */
  private static Relay.Censor cutting(FrameType... steps) {
    Queue<FrameType> left = new ConcurrentLinkedQueue<>(List.of(steps));
    return (relay, frame) -> {
      if (frame.type() == left.peek() && left.remove(frame.type())) {
        relay.cut(Relay.Break.RESET);
        relay.mend();
        return List.of();
      }
      return List.of(frame.bytes());
    };
  }

  @Test
  void aRecoveryThatBreaksAtEachOfItsStepsIsPausedAgain(Hosts hosts) throws Exception {
    TargetHost target = hosts.target(PeerSecurity.plaintext());
    DemoGuest guest = guest(hosts, 16);
    Relay.Censor cutter =
        cutting(
            FrameType.STARTED,
            FrameType.OWNERSHIP_QUERY,
            FrameType.OWNERSHIP,
            FrameType.RESUME,
            FrameType.RESUMED,
            FrameType.MISSING,
            FrameType.PAGES,
            FrameType.WELCOME,
            FrameType.PAGE_REQUEST,
            FrameType.ROUND_END,
            FrameType.ROUND_LANDED,
            FrameType.DIGEST);
    try (Relay relay = Relay.to(target, cutter)) {
      Journey.begin(
              hosts.source(),
              relay,
              target,
              guest,
              PeerSecurity.plaintext(),
              "--mode",
              "postcopy",
              "--bandwidth",
              "24MB/s")
          .assertArrived();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "DEVICE_STATE, false",
    "SWITCH,       false",
    "PREPARED,     false",
    "COMMIT,       false",
    "STARTED,      true",
    "SETTLED,      true",
    "GOODBYE,      true",
  })
  void aLinkThatIsCutAt(FrameType step, boolean moved, Hosts hosts) throws Exception {
    TargetHost target = hosts.target(PeerSecurity.plaintext());
    DemoGuest guest = guest(hosts, 16);
    try (Relay relay = Relay.to(target, cutting(step))) {
      Journey journey =
          Journey.begin(
              hosts.source(), relay, target, guest, PeerSecurity.plaintext(), "--mode", "postcopy");
      if (moved) {
        journey.assertMoved();
      } else {
        journey.assertStayed(FAILED, "runs on here");
      }
    }
  }

  @Test
  void aLinkThatStaysAwayIsWaitedForByCommand(Hosts hosts) throws Exception {
    UUID id = UUID.randomUUID();
    TargetHost target = target(hosts, hosts.tls());
    DemoGuest guest = guest(hosts, 24);
    try (Relay relay = Relay.to(target)) {
      Journey journey =
          Journey.begin(
              source(hosts, id),
              relay,
              target,
              guest,
              hosts.tls(),
              "--mode",
              "postcopy",
              "--bandwidth",
              "12MB/s",
              "--recover-for",
              "1s");
      awaitServing(journey);
      awaitDone(
          relay.after(2 * MIB, () -> relay.cut(Relay.Break.HANG_UP)),
          journey.departure().agent(),
          target);
      assertThat(journey.awaitExit()).describedAs(journey.story()).isEqualTo(RECOVERABLE);
      journey.assertSaid("source recover " + id, "keep the paused copy");
      assertThat(journey.departure().report().path("outcome").asText()).isEqualTo("paused");
      assertThat(guest.isRunning()).describedAs("the guest runs on the source").isFalse();
      assertThat(targetStatus(hosts, target)).contains("paused");

      RunningProcess early = recover(hosts, id, "--settle-for", "60s");
      await("the recovery's answer to 'source status'")
          .atMost(Journey.LIMIT)
          // Of one that nobody recovers yet the ledger tells, without "to".
          .until(
              () -> sourceStatus(hosts).contains(id + "  guest " + guest.spec().name() + " to "));
      early.signal(Signal.INT);
      assertThat(early.awaitExit(Journey.LIMIT)).describedAs(early.state()).isEqualTo(RECOVERABLE);
      relay.mend();
      Path report = hosts.workplace().folder().resolve("recovery.json");
      RunningProcess recovery = recover(hosts, id, "--json", report.toString());
      assertThat(recovery.awaitExit(Journey.LIMIT)).describedAs(recovery.state()).isZero();
      JsonNode sent = new ObjectMapper().readTree(report.toFile());
      assertThat(sent.path("outcome").asText()).isEqualTo("completed");
      assertThat(sent.path("verified").asBoolean()).isTrue();
      assertThat(sent.path("pages").path("sent").asLong()).isPositive();
      journey.assertWhole(24 * MIB / 4096);
    }
    target.agent().close();
  }

  private static String sourceStatus(Hosts hosts) throws Exception {
    RunningProcess status =
        hosts
            .source()
            .command(
                List.of("status", "--state", hosts.source().state().toString()), Terminal.DETACHED);
    assertThat(status.awaitExit(Journey.LIMIT)).describedAs(status.state()).isZero();
    return status.transcript().text();
  }

  private static String targetStatus(Hosts hosts, TargetHost target) throws Exception {
    RunningProcess status =
        hosts
            .workplace()
            .start(
                "target status",
                JavaCommand.of(
                    Program.TARGET, List.of("status", "--state", target.state().toString())),
                Terminal.DETACHED,
                Map.of());
    assertThat(status.awaitExit(Journey.LIMIT)).describedAs(status.state()).isZero();
    return status.transcript().text();
  }

  @Test
  void theGuestEndsBeforeItsMemoryIsThere(Hosts hosts) throws Exception {
    TargetHost target = hosts.target();
    DemoGuest guest = guest(hosts, 24);
    Journey journey = Journey.begin(hosts, guest, "--mode", "postcopy", "--bandwidth", "2MB/s");
    awaitServing(journey);
    for (ProcessTable.Entry process :
        ProcessTable.mentioning(guest.spec().images(target.imageFolder()).getFirst().toString())) {
      ProcessHandle.of(process.pid()).ifPresent(ProcessHandle::destroyForcibly);
    }
    assertThat(journey.awaitExit()).describedAs(journey.story()).isEqualTo(FAILED);
    journey.assertSaid("ended there before it had all of its memory", "stays paused");
    assertThat(guest.isRunning()).describedAs("the guest runs on the source").isFalse();
    assertThat(guest.verify().path("faultsFound").asLong()).isZero();
    assertThat(target.agent().isAlive()).isTrue();
    journey.settledOnTarget();
    guest.quit();
  }

  @Test
  void nothingRunsTwiceWhenTheLinkIsCutInMidSwitch(Hosts hosts) throws Exception {
    // The same guest until an attempt gets through: each one that does not leaves it whole.
    TargetHost target = hosts.target();
    DemoGuest guest = guest(hosts, 16);
    Drill.run(
        "switch",
        4,
        drill -> {
          for (int point = 0; point < drill.points(); point++) {
            try (Relay relay = Relay.to(target)) {
              AtomicBoolean cut = new AtomicBoolean();
              int distance = 4_000 + drill.random().nextInt(40_000);
              drill.note(distance + " bytes;");
              CompletableFuture<Void> planned =
                  relay.after(
                      distance,
                      () -> {
                        relay.cut(Relay.Break.RESET);
                        cut.set(true);
                        relay.mend();
                      });
              Journey journey =
                  Journey.begin(
                      hosts.source(), relay, target, guest, hosts.tls(), "--mode", "postcopy");
              int exit = journey.awaitExit();
              assertThat(planned).describedAs(journey.story()).isCompleted();
              if (exit == 0) {
                journey.assertMoved();
                return;
              }
              assertThat(exit).describedAs(journey.story()).isEqualTo(FAILED);
              journey.assertUnharmed();
              journey.settledOnTarget();
            }
          }
          guest.quit();
        });
  }
}
