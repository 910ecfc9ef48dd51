package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.github.dockerjava.api.model.Bind;
import com.github.dockerjava.api.model.Device;
import com.github.dockerjava.api.model.Network.Ipam;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SystemCommand;
import io.pageferry.integration.process.TemporaryPki;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.Network;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.images.builder.ImageFromDockerfile;

/**
 * Guests move from one container to another, over their own network, with the images of {@code
 * docker/}. Both containers have the narrowest grant that lets the kernel track a guest's writes
 * and serve its faults: the device {@code /dev/userfaultfd}.
 */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
final class ContainerTest {
  private static final Duration START = Duration.ofMinutes(2);
  private static final Duration LIMIT = Duration.ofMinutes(3);
  private static final Duration DEMO = Duration.ofMinutes(9);
  private static final String LAUNCHER = "/opt/pageferry/pageferry";
  private static final int METRICS = 9420;

  /** Where agents in several containers find what the others have written. */
  private static final String STATE = "PAGEFERRY_STATE=/host/state";

  private static final int FAILED = 1;
  private static final int REFUSED = 3;
  private static final int RECOVERABLE = 5;
  private static final AtomicInteger GUESTS = new AtomicInteger();

  /** Fixed, so that a container that is connected again has the address that it had. */
  private static final String SUBNET = "10.214.77.0/24";

  private static final String TARGET_ADDRESS = "10.214.77.77";
  private static final String MORTAL_ADDRESS = "10.214.77.78";

  @TempDir private static Path scratch;

  private static ContainerEngine engine;
  private static Network network;
  private static GenericContainer<?> source;
  private static GenericContainer<?> target;

  @BeforeAll
  @Timeout(value = 15, unit = TimeUnit.MINUTES)
  static void start() throws Exception {
    engine = ContainerEngine.ofTests();
    network =
        Network.builder()
            .createNetworkCmdModifier(
                create ->
                    create.withIpam(new Ipam().withConfig(new Ipam.Config().withSubnet(SUBNET))))
            .build();
    TemporaryPki.create(Files.createDirectory(scratch.resolve("pki")), "source", "target");
    TemporaryPki.create(Files.createDirectory(scratch.resolve("other-pki")), "source");
    // Guests end when they have moved; were one the container's first process, all would end.
    source =
        container("source", image("source"))
            .withCommand("-c", "echo ready; exec sleep infinity")
            .withCreateContainerCmdModifier(
                create -> {
                  create.withEntrypoint("bash");
                  // With an agent in a container of its own.
                  create.getHostConfig().withIpcMode("shareable");
                })
            .waitingFor(Wait.forLogMessage(".*ready.*", 1).withStartupTimeout(START));
    target =
        target("target", image("target"))
            .withExposedPorts(METRICS)
            .withCreateContainerCmdModifier(create -> create.withIpv4Address(TARGET_ADDRESS));
    source.start();
    target.start();
  }

  @AfterAll
  static void stop() {
    for (AutoCloseable started : Stream.of(source, target, network, engine).toList()) {
      if (started != null) {
        try {
          started.close();
        } catch (Exception left) {
          System.out.println("Not removed after the tests with containers: " + left);
        }
      }
    }
  }

  private static String image(String role) throws Exception {
    ImageFromDockerfile image =
        AgentImage.of(
            role, engine.baseImage(), Files.createDirectory(scratch.resolve(role + "-jars")));
    return image.get();
  }

  private static GenericContainer<?> target(String name, String image) throws Exception {
    return container(name, image)
        .withCommand(
            "serve",
            "--listen",
            "0.0.0.0:7420",
            "--guests",
            "/host/guests",
            "--pki",
            "/pki",
            "--name",
            "target",
            "--metrics",
            "0.0.0.0:" + METRICS)
        .waitingFor(Wait.forLogMessage(".*listening on .*", 1).withStartupTimeout(START));
  }

  private static GenericContainer<?> container(String name, String image) throws Exception {
    Path host = Files.createDirectory(scratch.resolve(name));
    Files.createDirectory(host.resolve("guests"));
    return new GenericContainer<>(image)
        .withNetwork(network)
        .withNetworkAliases(name)
        .withSharedMemorySize(1L << 29)
        // Processes that live for seconds: optimizing them costs more than it brings.
        .withEnv("PAGEFERRY_REHEARSE", "no")
        .withEnv("PAGEFERRY_JAVA_OPTS", "-XX:TieredStopAtLevel=1")
        .withCreateContainerCmdModifier(
            create -> {
              // The keys of this test belong to root.
              create.withUser("0:0");
              create
                  .getHostConfig()
                  .withBinds(
                      Bind.parse(scratch.resolve("pki") + ":/pki:ro"),
                      Bind.parse(scratch.resolve("other-pki") + ":/other-pki:ro"),
                      Bind.parse(host + ":/host"))
                  .withDevices(Device.parse("/dev/userfaultfd"));
            });
  }

  private static DemoGuestSpec spec() {
    return DemoGuestSpec.uniform("guest" + GUESTS.incrementAndGet(), "32M", "5MB/s");
  }

  private static List<String> guestCommand(DemoGuestSpec spec, boolean incoming) {
    List<String> arguments = spec.arguments(Path.of("/host"), Path.of("/dev/shm"), incoming);
    return Stream.concat(Stream.of(LAUNCHER, "guest"), arguments.stream()).toList();
  }

  /** Starts a guest on the source, and describes it on both sides. */
  private static DemoGuest startGuest(DemoGuestSpec spec, String targetName) throws Exception {
    String description =
        """
        name: %1$s
        memory:
          - path: /dev/shm/%1$s.ram0
        control: { qmp: /host/%1$s.qmp, timeout: 20s }
        """
            .formatted(spec.name());
    Files.writeString(
        scratch.resolve("source").resolve(spec.name() + ".yaml"),
        description + "afterwards: quit\n");
    Files.writeString(
        scratch.resolve(targetName).resolve("guests").resolve(spec.name() + ".yaml"),
        description
            + "launch: ['%s']%nlog: /host/%s.log%n"
                .formatted(String.join("', '", guestCommand(spec, true)), spec.name()));
    List<String> command = new ArrayList<>(List.of("docker", "exec", "-d"));
    command.add(source.getContainerId());
    command.addAll(guestCommand(spec, false));
    SystemCommand.run(command.toArray(String[]::new));
    DemoGuest guest =
        DemoGuest.answeringAt(scratch.resolve("source/" + spec.name() + ".qmp"), spec);
    await("the guest").atMost(START).ignoreExceptions().until(guest::isRunning);
    return guest;
  }

  private static RunningProcess migrate(
      DemoGuestSpec spec, String targetName, String pki, String... options) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                "docker",
                "exec",
                source.getContainerId(),
                LAUNCHER,
                "source",
                "migrate",
                "--guest",
                "/host/" + spec.name() + ".yaml",
                "--to",
                targetName + ":7420",
                "--pki",
                pki,
                "--name",
                "source",
                "--json",
                "/host/" + spec.name() + ".json"));
    command.addAll(List.of(options));
    return RunningProcess.start("source agent", command, Terminal.DETACHED, Map.of());
  }

  private static void arrived(DemoGuestSpec spec, RunningProcess agent) throws Exception {
    assertThat(agent.awaitExit(LIMIT))
        .describedAs("%s%n--- target:%n%s", agent.transcript().text(), target.getLogs())
        .isZero();
    DemoGuest there =
        DemoGuest.answeringAt(scratch.resolve("target/" + spec.name() + ".qmp"), spec);
    assertThat(there.isRunning()).isTrue();
    assertWhole(there);
    there.quit();
    assertThat(report(spec).path("outcome").asText()).isEqualTo("completed");
  }

  private static void assertWhole(DemoGuest guest) throws IOException {
    JsonNode verification = guest.verify();
    assertThat(verification.path("faultsFound").asLong()).isZero();
    assertThat(verification.path("pagesVerified").asLong()).isEqualTo(8192);
  }

  private static JsonNode report(DemoGuestSpec spec) throws IOException {
    return new ObjectMapper()
        .readTree(scratch.resolve("source").resolve(spec.name() + ".json").toFile());
  }

  private static String metrics() throws Exception {
    URI address = URI.create("http://localhost:" + target.getMappedPort(METRICS) + "/metrics");
    try (HttpClient client = HttpClient.newHttpClient()) {
      return client
          .send(HttpRequest.newBuilder(address).build(), HttpResponse.BodyHandlers.ofString())
          .body();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "precopy, --verify, full",
    "postcopy, --push, prepaging",
    "hybrid, --tracking, userfaultfd",
    "stop-and-copy, --compress, off"
  })
  void aGuestMoves(String mode, String option, String value) throws Exception {
    DemoGuestSpec spec = spec();
    startGuest(spec, "target");
    arrived(spec, migrate(spec, "target", "/pki", "--mode", mode, option, value));
    JsonNode report = report(spec);
    assertThat(report.path("mode").asText()).isEqualTo(mode);
    if (mode.equals("precopy")) {
      assertThat(report.path("tracking").asText()).isEqualTo("userfaultfd-wp");
    }
    await("the metrics of a target that has nothing to do")
        .atMost(LIMIT)
        .untilAsserted(
            () -> assertThat(metrics()).contains("pageferry_target_migrations_active 0.0"));
  }

  /** The engine's profile keeps the system call from whoever was not given the device. */
  @Test
  void aTargetWithoutTheGrantNamesItAndTakesTheGuestByPreCopy() throws Exception {
    try (GenericContainer<?> other =
        target("ungranted", target.getDockerImageName())
            .withCreateContainerCmdModifier(
                create -> create.getHostConfig().withDevices(List.of()))) {
      other.start();
      DemoGuestSpec spec = spec();
      DemoGuest guest = startGuest(spec, "ungranted");
      try (RunningProcess agent = migrate(spec, "ungranted", "/pki", "--mode", "postcopy")) {
        assertThat(agent.awaitExit(LIMIT)).describedAs(agent.state()).isEqualTo(REFUSED);
        assertThat(agent.transcript().text())
            .contains("/dev/userfaultfd", "--mode precopy --on-stall pause", "runs on here");
      }
      assertThat(guest.isRunning()).isTrue();
      try (RunningProcess agent =
          migrate(spec, "ungranted", "/pki", "--mode", "precopy", "--on-stall", "pause")) {
        assertThat(agent.awaitExit(LIMIT)).describedAs(agent.state()).isZero();
      }
      DemoGuest there =
          DemoGuest.answeringAt(scratch.resolve("ungranted/" + spec.name() + ".qmp"), spec);
      assertThat(there.isRunning()).isTrue();
      assertWhole(there);
      there.quit();
    }
  }

  /** The engine's profile might end a guest that is made to make another call. */
  @Test
  void aGuestBehindAFilterIsNotAttachedTo() throws Exception {
    DemoGuestSpec spec = spec();
    DemoGuest guest = startGuest(spec, "target");
    Files.writeString(
        scratch.resolve("source").resolve(spec.name() + ".yaml"),
        "attach: always\n",
        StandardOpenOption.APPEND);
    try (RunningProcess agent = migrate(spec, "target", "/pki", "--tracking", "userfaultfd")) {
      assertThat(agent.awaitExit(LIMIT)).describedAs(agent.state()).isEqualTo(REFUSED);
      assertThat(agent.transcript().text()).contains("seccomp=unconfined", "runs on here");
    }
    assertThat(guest.isRunning()).isTrue();
    assertWhole(guest);
    guest.quit();
  }

  /** The link is away for so long that both sides give up the connection. */
  @Test
  void theNetworkIsCutInPostCopyAndHealed() throws Exception {
    DemoGuestSpec spec = spec().withPattern("random");
    startGuest(spec, "target");
    try (RunningProcess agent =
        migrate(
            spec,
            "target",
            "/pki",
            "--mode",
            "postcopy",
            "--bandwidth",
            "10MB/s",
            "--recover-for",
            "120s")) {
      agent.awaitLine("serving", Journey.SERVING, LIMIT);
      SystemCommand.run(
          "docker", "network", "disconnect", network.getId(), target.getContainerId());
      agent.awaitLine("cut off", line -> line.contains("The connection was lost"), LIMIT);
      SystemCommand.run(
          "docker",
          "network",
          "connect",
          "--alias",
          "target",
          "--ip",
          TARGET_ADDRESS,
          network.getId(),
          target.getContainerId());
      arrived(spec, agent);
    }
  }

  @Test
  void theTargetIsKilledInPreCopy() throws Exception {
    try (GenericContainer<?> other = target("doomed", target.getDockerImageName())) {
      other.start();
      DemoGuestSpec spec = spec().withPattern("random");
      DemoGuest guest = startGuest(spec, "doomed");
      try (RunningProcess agent = migrate(spec, "doomed", "/pki", "--bandwidth", "2MB/s")) {
        agent.awaitLine("moving", line -> line.contains("of memory in 1 region"), LIMIT);
        SystemCommand.run("docker", "kill", other.getContainerId());
        assertThat(agent.awaitExit(LIMIT)).describedAs(agent.state()).isEqualTo(FAILED);
        assertThat(agent.transcript().text()).contains("runs on here");
      }
      assertThat(guest.isRunning()).isTrue();
      assertWhole(guest);
      guest.quit();
    }
  }

  private static GenericContainer<?> targetThatWaits(String name, String phase) throws Exception {
    return target(name, target.getDockerImageName())
        .withEnv("PAGEFERRY_HOLD", phase + ":240000")
        .withCreateContainerCmdModifier(create -> create.withIpv4Address(MORTAL_ADDRESS));
  }

  private static void killAt(String phase, GenericContainer<?> target) throws Exception {
    await(phase).atMost(LIMIT).until(() -> target.getLogs().contains("holding at " + phase));
    SystemCommand.run("docker", "kill", target.getContainerId());
  }

  @Test
  void theTargetIsKilledWhenItIsPrepared() throws Exception {
    try (GenericContainer<?> other = targetThatWaits("ready", "prepared")) {
      other.start();
      DemoGuestSpec spec = spec();
      DemoGuest guest = startGuest(spec, "ready");
      try (RunningProcess agent = migrate(spec, "ready", "/pki")) {
        killAt("prepared", other);
        assertThat(agent.awaitExit(LIMIT)).describedAs(agent.state()).isEqualTo(FAILED);
        assertThat(agent.transcript().text()).contains("runs on here");
      }
      assertThat(guest.isRunning()).isTrue();
      assertWhole(guest);
      guest.quit();
    }
  }

  /** Nobody saw whether its guest ran there: only its user may let the one here run on. */
  @Test
  void theTargetIsKilledWhenItHasTakenTheGuestOver() throws Exception {
    try (GenericContainer<?> other = targetThatWaits("owner", "taken-over")) {
      other.start();
      DemoGuestSpec spec = spec();
      DemoGuest guest = startGuest(spec, "owner");
      try (RunningProcess agent = migrate(spec, "owner", "/pki", "--recover-for", "1s")) {
        killAt("taken-over", other);
        assertThat(agent.awaitExit(LIMIT)).describedAs(agent.state()).isEqualTo(RECOVERABLE);
        assertThat(agent.transcript().text()).contains("stays paused", "source recover");
      }
      assertThat(guest.isRunning()).isFalse();
      startAgain(other);
      String migration = report(spec).path("migration").asText();
      recoverHere(RECOVERABLE, "--force", migration, "--settle-for", "5s");
      assertThat(guest.isRunning()).isFalse();
      recoverHere(0, "runs on here", migration, "--force");
      assertThat(guest.isRunning()).isTrue();
      assertWhole(guest);
      guest.quit();
    }
  }

  /** Returns when its agent listens once more. */
  private static void startAgain(GenericContainer<?> target) throws Exception {
    int before = target.getLogs().split("listening on ", -1).length;
    SystemCommand.run("docker", "start", target.getContainerId());
    await("the agent")
        .atMost(START)
        .until(() -> target.getLogs().split("listening on ", -1).length > before);
  }

  private static void recoverHere(int exit, String said, String... options) throws Exception {
    List<String> command = new ArrayList<>(List.of("docker", "exec", source.getContainerId()));
    command.addAll(List.of(LAUNCHER, "source", "recover"));
    command.addAll(List.of(options));
    try (RunningProcess recovery =
        RunningProcess.start("source recover", command, Terminal.DETACHED, Map.of())) {
      assertThat(recovery.awaitExit(LIMIT)).describedAs(recovery.state()).isEqualTo(exit);
      assertThat(recovery.transcript().text()).contains(said);
    }
  }

  /** With the container went the guest; what is to be kept and what has become of it is said. */
  @Test
  void theTargetIsKilledInPostCopyAndStartedAgain() throws Exception {
    try (GenericContainer<?> other =
        target("mortal", target.getDockerImageName())
            .withCreateContainerCmdModifier(create -> create.withIpv4Address(MORTAL_ADDRESS))) {
      other.start();
      DemoGuestSpec spec = spec().withPattern("random");
      DemoGuest guest = startGuest(spec, "mortal");
      try (RunningProcess agent =
          migrate(
              spec,
              "mortal",
              "/pki",
              "--mode",
              "postcopy",
              "--bandwidth",
              "2MB/s",
              "--recover-for",
              "1s")) {
        agent.awaitLine("serving", Journey.SERVING, LIMIT);
        SystemCommand.run("docker", "kill", other.getContainerId());
        assertThat(agent.awaitExit(LIMIT)).describedAs(agent.state()).isEqualTo(RECOVERABLE);
        assertThat(agent.transcript().text()).contains("keep the paused copy", "source recover");
      }
      startAgain(other);
      recoverHere(FAILED, "ended there");
      assertThat(guest.isRunning()).isFalse();
      assertWhole(guest);
      guest.quit();
    }
  }

  /**
   * The agent is in a container beside the guest's. It is killed there with all that would look
   * after it, and another one finds out where the guest belongs.
   */
  @Test
  void theSourceAgentIsKilledInEachPhase() throws Exception {
    DemoGuestSpec spec = spec().withPattern("random");
    DemoGuest guest = startGuest(spec, "target");
    killed(spec, "", line -> line.contains("of memory in 1 region"), "--bandwidth", "2MB/s");
    recovered(guest, "was not paused and runs on here");
    killedAt("paused", spec, "--mode", "stop-and-copy");
    recovered(guest, "had not been handed over and runs on here");
    killedAt("handed-over", spec, "--mode", "postcopy");
    recovered(guest, "was given back by the target and runs on here");
    assertWhole(guest);

    killedAt("serving", spec, "--mode", "postcopy");
    assertThat(guest.isRunning()).isFalse();
    recover("was taken over by", "runs there");
    DemoGuest there =
        DemoGuest.answeringAt(scratch.resolve("target/" + spec.name() + ".qmp"), spec);
    assertThat(there.isRunning()).isTrue();
    assertWhole(there);
    there.quit();
  }

  private static void killedAt(String phase, DemoGuestSpec spec, String... options)
      throws Exception {
    killed(spec, phase + ":240000", line -> line.equals("holding at " + phase), options);
  }

  private static void killed(
      DemoGuestSpec spec, String hold, Predicate<String> moment, String... options)
      throws Exception {
    String name = "pageferry-agent-" + UUID.randomUUID();
    try (RunningProcess agent = agentBesideTheGuest(name, hold, spec, options)) {
      agent.awaitLine(name, moment, LIMIT);
      SystemCommand.run("docker", "kill", name);
      assertThat(agent.awaitExit(LIMIT)).describedAs(agent.state()).isGreaterThan(128);
    }
  }

  private static void recovered(DemoGuest guest, String said) throws Exception {
    recover(said);
    assertThat(guest.isRunning()).isTrue();
    String image = guest.spec().name() + ".ram0";
    await("a tidy target")
        .atMost(LIMIT)
        .until(
            () ->
                SystemCommand.run("docker", "exec", target.getContainerId(), "ls", "/dev/shm")
                    .lines()
                    .noneMatch(image::equals));
  }

  private static void recover(String... said) throws Exception {
    List<String> command = new ArrayList<>(List.of("docker", "exec", "-e", STATE));
    command.addAll(List.of(source.getContainerId(), LAUNCHER, "source", "recover"));
    try (RunningProcess recovery =
        RunningProcess.start("source recover", command, Terminal.DETACHED, Map.of())) {
      assertThat(recovery.awaitExit(LIMIT)).describedAs(recovery.state()).isZero();
      assertThat(recovery.transcript().text()).contains(said);
    }
  }

  /** Processes, memory and sockets of the guest's container are this one's as well. */
  private static RunningProcess agentBesideTheGuest(
      String name, String hold, DemoGuestSpec spec, String... options) throws IOException {
    String beside = "container:" + source.getContainerId();
    List<String> command = new ArrayList<>(List.of("docker", "run", "--rm", "--name", name));
    command.addAll(List.of("--pid", beside, "--ipc", beside, "--network", network.getId()));
    command.addAll(List.of("--user", "0:0", "-v", scratch.resolve("pki") + ":/pki:ro"));
    command.addAll(List.of("-v", scratch.resolve("source") + ":/host"));
    command.addAll(List.of("-e", STATE, "-e", "PAGEFERRY_REHEARSE=no"));
    command.addAll(List.of("-e", "PAGEFERRY_HOLD=" + hold));
    // The guest sends its device state to a socket of the agent's.
    String java = "-XX:TieredStopAtLevel=1 -Djava.io.tmpdir=/host";
    command.addAll(List.of("-e", "PAGEFERRY_JAVA_OPTS=" + java, source.getDockerImageName()));
    command.addAll(List.of("migrate", "--guest", "/host/" + spec.name() + ".yaml"));
    command.addAll(List.of("--to", "target:7420", "--pki", "/pki", "--name", "source"));
    command.addAll(List.of(options));
    return RunningProcess.start(name, command, Terminal.DETACHED, Map.of());
  }

  /** The same agent, but for the versions that it speaks. */
  @Test
  void anAgentThatSpeaksOtherVersionsIsRefused() throws Exception {
    String place = source.getContainerId() + ":/opt/pageferry/lib/000-0-newer.jar";
    DemoGuestSpec spec = spec();
    DemoGuest guest = startGuest(spec, "target");
    SystemCommand.run("docker", "cp", AgentImage.newer(scratch.resolve("newer")).toString(), place);
    try (RunningProcess agent = migrate(spec, "target", "/pki")) {
      assertThat(agent.awaitExit(LIMIT)).describedAs(agent.state()).isEqualTo(REFUSED);
      assertThat(agent.transcript().text()).contains("98 to 99", "runs on here");
    } finally {
      SystemCommand.run(
          "docker", "exec", source.getContainerId(), "rm", place.substring(place.indexOf('/')));
    }
    assertThat(guest.isRunning()).isTrue();
    guest.quit();
  }

  @Test
  void aCertificateOfAnotherAuthorityIsRefused() throws Exception {
    DemoGuestSpec spec = spec();
    DemoGuest guest = startGuest(spec, "target");
    try (RunningProcess agent = migrate(spec, "target", "/other-pki")) {
      assertThat(agent.awaitExit(LIMIT)).describedAs(agent.state()).isEqualTo(REFUSED);
      assertThat(agent.transcript().text()).contains("certificate", "runs on here");
    }
    assertThat(guest.isRunning()).isTrue();
    guest.quit();
  }

  @Test
  void theDemoOfCompose() throws Exception {
    try (RunningProcess demo =
        RunningProcess.start(
            "docker/demo",
            List.of(Path.of("..", "docker", "demo").toString(), "hybrid"),
            Terminal.DETACHED,
            Map.of(
                "PAGEFERRY_BASE_IMAGE",
                engine.baseImage(),
                "JAVA_HOME",
                System.getProperty("java.home")))) {
      assertThat(demo.awaitExit(DEMO)).describedAs(demo.state()).isZero();
      assertThat(demo.transcript().text())
          .contains("the guest runs on beta and has checked its memory", " faults=0 ");
      assertThat(SystemCommand.run("docker", "ps", "--all", "--format", "{{.Names}}"))
          .doesNotContain("pageferry-demo");
    }
  }
}
