package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.guest.linux.KernelFeatures;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.NetworkLink;
import io.pageferry.integration.process.ProcessTable;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Signal;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.Surroundings;
import io.pageferry.integration.process.TargetHost;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** The guest moves first and its pages follow, whatever happens to the source and the link. */
@ExtendWith(Hosts.Shared.class)
final class PostCopyTest {
  private static final int RECOVERABLE = 5;
  private static final String HOLD = "PAGEFERRY_HOLD";
  private static final Duration ENDED = Duration.ofSeconds(60);

  private static DemoGuest guest(Hosts hosts) throws Exception {
    return hosts.source().startGuest(Journey.small(hosts)).awaitReady();
  }

  private static SourceHost holding(Hosts hosts, String hold) {
    return hosts.source().in(Surroundings.USUAL.with(HOLD, hold));
  }

  private static RunningProcess command(SourceHost source, String name) throws Exception {
    return source.command(List.of(name, "--state", source.state().toString()), Terminal.DETACHED);
  }

  private static void run(RunningProcess process, int exit) throws Exception {
    assertThat(process.awaitExit(Journey.LIMIT)).describedAs(process.state()).isEqualTo(exit);
  }

  /** Each page crossed once. */
  private static void assertOnce(JsonNode report) {
    JsonNode pages = report.path("pages");
    assertThat(pages.path("faulted").asLong() + pages.path("pushed").asLong())
        .isEqualTo(pages.path("total").asLong());
    assertThat(pages.path("sent").asLong()).isEqualTo(pages.path("total").asLong());
    assertThat(pages.path("resent").asLong()).isZero();
  }

  @Test
  void demandPagingAloneEndsWhenTheGuestHasTouchedEverything(Hosts hosts) throws Exception {
    DemoGuestSpec spec = DemoGuestSpec.uniform(hosts.guestName(), "8M", "2MB/s");
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    JsonNode report =
        Journey.begin(hosts, guest, "--mode", "postcopy", "--push", "none").assertArrived();
    assertOnce(report);
    assertThat(report.path("application").path("duringOpsPerSecond").asDouble()).isPositive();
    // Only the holes were sent unasked.
    assertThat(report.path("pages").path("faulted").asLong())
        .isGreaterThan(report.path("pages").path("pushed").asLong());
  }

  @Test
  void theUserMaySwitchInMidRound(Hosts hosts) throws Exception {
    Journey journey =
        Journey.begin(hosts, guest(hosts), "--bandwidth", "6MB/s", "--compress", "off");
    journey.departure().agent().awaitLine("round 1", Journey.FIRST_ROUND, Journey.LIMIT);
    await("the first round")
        .atMost(Journey.LIMIT)
        .until(() -> command(hosts.source(), "postcopy").awaitExit(Journey.LIMIT) == 0);
    JsonNode report = journey.assertArrived();
    assertThat(report.path("switchedBy").asText()).isEqualTo("command");
    assertThat(report.path("rounds").size()).isEqualTo(2);
    assertThat(report.path("rounds").path(0).path("pages").asLong())
        .isLessThan(report.path("pages").path("total").asLong());
  }

  @Test
  void aMigrationWithoutPostCopyIsNotSwitched(Hosts hosts) throws Exception {
    Journey journey =
        Journey.begin(
            hosts,
            guest(hosts),
            "--bandwidth",
            "4MB/s",
            "--compress",
            "off",
            "--on-stall",
            "pause");
    journey.departure().agent().awaitLine("round 1", Journey.FIRST_ROUND, Journey.LIMIT);
    RunningProcess refused = command(hosts.source(), "postcopy");
    run(refused, 1);
    assertThat(refused.transcript().text()).contains("was not switched", "--on-stall pause");
    run(command(hosts.source(), "cancel"), 0);
    journey.assertStayed(4, "cancelled");
  }

  @Test
  void whoCancelsWhenTheGuestHasMovedIsRefused(Hosts hosts) throws Exception {
    Hold serving = Hold.at("serving", hosts);
    SourceHost source = hosts.source().in(serving.surroundings());
    Journey journey =
        Journey.begin(
            source, hosts.target(), guest(hosts), hosts.tls(), null, "--mode", "postcopy");
    RunningProcess agent = journey.departure().agent();
    serving.awaitReached(agent);
    RunningProcess refused = command(source, "cancel");
    run(refused, 1);
    assertThat(refused.transcript().text()).contains("missing pages are only here");
    agent.signal(Signal.INT);
    agent.awaitLine("the answer", line -> line.contains("Too late to cancel"), Journey.LIMIT);
    serving.release();
    journey.assertArrived();
  }

  @Test
  void anotherAgentGoesOnWhereTheKilledOneStopped(Hosts hosts) throws Exception {
    TargetHost target = hosts.target();
    Journey journey =
        Journey.begin(
            holding(hosts, "serving:60000"),
            target,
            guest(hosts),
            hosts.tls(),
            null,
            "--mode",
            "postcopy");
    journey
        .departure()
        .agent()
        .awaitLine("serving", line -> line.equals("holding at serving"), Journey.LIMIT);
    awaitFaultThreads(journey.departure().agent(), "connect-urgent");
    awaitFaultThreads(target.agent(), "accept");
    journey.departure().agent().signal(Signal.KILL);
    journey.awaitExit();
    assertThat(journey.guest().isRunning()).describedAs("the guest runs on the source").isFalse();
    run(command(hosts.source(), "recover"), 0);
    assertArrivedAfterRecovery(journey, target);
    await("threads that take their turns again")
        .atMost(Journey.LIMIT)
        .until(() -> ProcessTable.threadsThatRunFirst(target.agent().pid()).isEmpty());
  }

  /** One thread of the agent, of the fault channel, runs before all others, or none may. */
  private static void awaitFaultThreads(RunningProcess agent, String group) {
    // The agents were started by this process and may what it may.
    int wanted = KernelFeatures.probed().has(KernelFeatures.URGENT_THREADS) ? 1 : 0;
    await("the thread of the fault channel")
        .atMost(Journey.LIMIT)
        .untilAsserted(
            () ->
                assertThat(ProcessTable.threadsThatRunFirst(agent.pid()))
                    .hasSize(wanted)
                    .allSatisfy(name -> assertThat(name).startsWith(group)));
  }

  private static void assertArrivedAfterRecovery(Journey journey, TargetHost target)
      throws Exception {
    DemoGuest there = DemoGuest.arrivedAt(target, journey.guest().spec());
    JsonNode verification = there.verify();
    assertThat(verification.path("faultsFound").asLong()).describedAs(journey.story()).isZero();
    assertThat(verification.path("running").asBoolean()).isTrue();
    await("the guest's end on the source")
        .atMost(ENDED)
        .until(() -> !journey.guest().process().isAlive());
    there.quit();
    journey.settledOnTarget();
  }

  @Test
  void aCutCableCostsNothingButTime(Hosts hosts) throws Exception {
    try (NetworkLink link = NetworkLink.create()) {
      SourceHost source = hosts.source().in(Surroundings.USUAL.inNetwork(link.sourceNamespace()));
      TargetHost target =
          TargetHost.start(
                  hosts.workplace(),
                  "cut-off",
                  link.targetAddress(),
                  hosts.tls(),
                  Surroundings.USUAL.inNetwork(link.targetNamespace()),
                  List.of())
              .awaitReady();
      Journey journey =
          Journey.begin(
              source,
              target,
              guest(hosts),
              hosts.tls(),
              null,
              "--mode",
              "postcopy",
              "--bandwidth",
              "4MB/s",
              "--recover-for",
              "8s");
      RunningProcess agent = journey.departure().agent();
      agent.awaitLine("post-copy", line -> line.contains("of its memory follow"), Journey.LIMIT);
      link.cut();
      agent.awaitLine("the loss", line -> line.contains("The connection was lost"), Journey.LIMIT);
      // It comes back by itself ...
      link.mend();
      agent.awaitLine("its return", line -> line.contains("connection back"), Journey.LIMIT);
      link.cut();
      // ... and by command, when it was gone for too long.
      assertThat(journey.awaitExit()).describedAs(journey.story()).isEqualTo(RECOVERABLE);
      journey.assertSaid("source recover", "keep the paused copy");
      assertThat(journey.departure().report().path("outcome").asText()).isEqualTo("paused");
      link.mend();
      run(command(source, "recover"), 0);
      assertArrivedAfterRecovery(journey, target);
      target.agent().close();
    }
  }
}
