package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.github.dockerjava.api.model.Bind;
import com.github.dockerjava.api.model.Device;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.TemporaryPki;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.testcontainers.containers.Container.ExecResult;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.Network;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.images.builder.ImageFromDockerfile;

/**
 * A guest moves from one container to another, over their own network, with the images of {@code
 * docker/}. The source's container has the narrowest grant that lets the kernel track the guest:
 * the device {@code /dev/userfaultfd}.
 */
@Timeout(value = 10, unit = TimeUnit.MINUTES)
final class ContainerTest {
  private static final Duration START = Duration.ofMinutes(2);
  private static final String LAUNCHER = "/opt/pageferry/pageferry";

  @TempDir private Path scratch;

  private final DemoGuestSpec spec = DemoGuestSpec.uniform("demo", "32M", "5MB/s");

  @Test
  void aGuestMovesBetweenTwoContainers() throws Exception {
    Path pki = Files.createDirectory(scratch.resolve("pki"));
    TemporaryPki.create(pki, "source", "target");
    Path hosts = Files.createDirectory(scratch.resolve("target"));
    Files.createDirectory(hosts.resolve("guests"));
    Path sourceFolder = Files.createDirectories(scratch.resolve("source"));
    Files.writeString(hosts.resolve("guests/demo.yaml"), description(true));
    Files.writeString(sourceFolder.resolve("demo.yaml"), description(false));

    try (ContainerEngine engine = ContainerEngine.running();
        Network network = Network.newNetwork();
        GenericContainer<?> target = container("target", engine, network, pki, hosts);
        GenericContainer<?> source = container("source", engine, network, pki, sourceFolder)) {
      target
          .withNetworkAliases("target")
          .withCommand(
              "serve",
              "--listen",
              "0.0.0.0:7420",
              "--guests",
              "/host/guests",
              "--pki",
              "/pki",
              "--name",
              "target")
          .waitingFor(Wait.forLogMessage(".*listening on .*", 1).withStartupTimeout(START));
      // The guest ends when it has moved; were it the container's first process, the agent would
      // end with it.
      source
          .withCommand(
              "-c", LAUNCHER + " " + String.join(" ", guestCommand(false)) + " & sleep infinity")
          .withCreateContainerCmdModifier(create -> create.withEntrypoint("bash"))
          .waitingFor(Wait.forLogMessage(".*answers QMP.*", 1).withStartupTimeout(START));
      target.start();
      source.start();

      ExecResult moved =
          source.execInContainer(
              LAUNCHER,
              "source",
              "migrate",
              "--guest",
              "/host/demo.yaml",
              "--to",
              "target:7420",
              "--pki",
              "/pki",
              "--name",
              "source",
              "--verify",
              "full",
              "--tracking",
              "userfaultfd");
      assertThat(moved.getExitCode())
          .describedAs(
              "%s%s%n--- target:%n%s", moved.getStdout(), moved.getStderr(), target.getLogs())
          .isZero();
      DemoGuest there = DemoGuest.answeringAt(hosts.resolve("demo.qmp"), spec);
      assertThat(there.isRunning()).isTrue();
      JsonNode verification = there.verify();
      assertThat(verification.path("faultsFound").asLong()).isZero();
      assertThat(verification.path("pagesVerified").asLong()).isEqualTo(8192);
      there.quit();
    }
  }

  private GenericContainer<?> container(
      String role, ContainerEngine engine, Network network, Path pki, Path host) throws Exception {
    ImageFromDockerfile image =
        AgentImage.of(
            role, engine.baseImage(), Files.createDirectory(scratch.resolve(role + "-jars")));
    return new GenericContainer<>(image)
        .withNetwork(network)
        .withCreateContainerCmdModifier(
            create -> {
              // The keys of this test belong to root.
              create.withUser("0:0");
              create
                  .getHostConfig()
                  .withBinds(Bind.parse(pki + ":/pki:ro"), Bind.parse(host + ":/host"))
                  .withDevices(Device.parse("/dev/userfaultfd"));
            });
  }

  private List<String> guestCommand(boolean incoming) {
    List<String> arguments = spec.arguments(Path.of("/host"), Path.of("/dev/shm"), incoming);
    return Stream.concat(Stream.of("guest"), arguments.stream()).toList();
  }

  private String description(boolean target) {
    String launch =
        target
            ? "launch: ['"
                + LAUNCHER
                + "', '"
                + String.join("', '", guestCommand(true))
                + "']\nlog: /host/demo.log\n"
            : "afterwards: quit\n";
    return """
        name: demo
        memory:
          - path: /dev/shm/demo.ram0
        control: { qmp: /host/demo.qmp, timeout: 20s }
        """
        + launch;
  }
}
