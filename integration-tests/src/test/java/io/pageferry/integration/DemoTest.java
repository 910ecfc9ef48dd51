package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.pageferry.integration.process.JavaCommand;
import io.pageferry.integration.process.ProcessTable;
import io.pageferry.integration.process.Program;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Signal;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.Transcript;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The demo as a user starts it: what it shows, writes and leaves. */
@ExtendWith(Hosts.Shared.class)
final class DemoTest {
  private static final Duration LIMIT = Duration.ofSeconds(150);

  @TempDir private Path scratch;

  /** The start of its folders' names. */
  private String mark = "";

  private RunningProcess demo(Hosts hosts, String... options) throws Exception {
    return demo(hosts, Map.of(), options);
  }

  /** As a user has it, with its rehearsals. */
  private RunningProcess wholeDemo(Hosts hosts, String... options) throws Exception {
    return demo(hosts, Map.of("PAGEFERRY_REHEARSE", "yes"), options);
  }

  private RunningProcess demo(Hosts hosts, Map<String, String> environment, String... options)
      throws Exception {
    RunningProcess demo =
        hosts
            .workplace()
            .start(
                "demo",
                JavaCommand.of(Program.DEMO, List.of(options)),
                Terminal.DETACHED,
                environment);
    mark = "pageferry-demo-" + demo.pid() + "-";
    return demo;
  }

  @AfterEach
  void nothingIsLeft() throws Exception {
    await("the end of all processes")
        .atMost(LIMIT)
        .until(() -> ProcessTable.mentioning(mark).isEmpty());
    List<Path> left = new ArrayList<>();
    for (Path folder :
        List.of(Path.of(System.getProperty("java.io.tmpdir", "/tmp")), Path.of("/dev/shm"))) {
      try (Stream<Path> files = Files.list(folder)) {
        files.filter(file -> file.getFileName().toString().startsWith(mark)).forEach(left::add);
      }
    }
    assertThat(left).isEmpty();
  }

  @Test
  void movesAGuestAndSaysSo(Hosts hosts) throws Exception {
    Path json = scratch.resolve("report.json");
    RunningProcess demo = wholeDemo(hosts, "--memory", "64M", "--json", json.toString());
    assertThat(demo.awaitExit(LIMIT)).describedAs(demo.state()).isZero();
    JsonNode report = new ObjectMapper().readTree(Files.readString(json));
    assertThat(report.path("outcome").asText()).isEqualTo("completed");
    assertThat(report.path("verified").asBoolean()).isTrue();
    assertThat(report.path("tracking").asText()).isEqualTo("userfaultfd-wp");
    assertThat(report.path("guestDowntimeMs").asDouble()).isPositive();
    assertThat(demo.transcript().text())
        .contains("stood still")
        .contains("16,384 pages")
        .doesNotContain("Exception");
  }

  @Test
  void movesAGuestAheadOfItsPages(Hosts hosts) throws Exception {
    Path json = scratch.resolve("report.json");
    RunningProcess demo =
        wholeDemo(
            hosts,
            "--mode",
            "postcopy",
            "--memory",
            "64M",
            "--bandwidth",
            "40MB/s",
            "--json",
            json.toString());
    assertThat(demo.awaitExit(LIMIT)).describedAs(demo.state()).isZero();
    JsonNode report = new ObjectMapper().readTree(Files.readString(json));
    assertThat(report.path("verified").asBoolean()).isTrue();
    assertThat(report.path("faults").path("count").asLong()).isPositive();
    assertThat(report.path("application").path("afterOpsPerSecond").asDouble()).isPositive();
    assertThat(demo.transcript().text())
        .contains("post-copy", "at work", "16,384 pages")
        .doesNotContain("Exception");
  }

  @ParameterizedTest
  @ValueSource(strings = {"hybrid", "stop-and-copy"})
  void movesAGuestInTheOtherModes(String mode, Hosts hosts) throws Exception {
    Path json = scratch.resolve("report.json");
    RunningProcess demo = demo(hosts, "--mode", mode, "--memory", "64M", "--json", json.toString());
    assertThat(demo.awaitExit(LIMIT)).describedAs(demo.state()).isZero();
    JsonNode report = new ObjectMapper().readTree(Files.readString(json));
    assertThat(report.path("mode").asText()).isEqualTo(mode);
    assertThat(report.path("verified").asBoolean()).isTrue();
    assertThat(report.path("guestDowntimeMs").asDouble()).isPositive();
    assertThat(demo.transcript().text()).contains("16,384 pages").doesNotContain("Exception");
  }

  @Test
  void saysNothingWhenQuiet(Hosts hosts) throws Exception {
    RunningProcess demo = demo(hosts, "--memory", "32M", "--quiet", "--plaintext");
    assertThat(demo.awaitExit(LIMIT)).describedAs(demo.state()).isZero();
    assertThat(demo.transcript().lines(Transcript.Stream.OUT)).isEmpty();
  }

  @Test
  void leavesNothingOnCtrlC(Hosts hosts) throws Exception {
    RunningProcess demo = demo(hosts, "--memory", "64M", "--bandwidth", "2MB/s");
    demo.awaitLine("the first round", Journey.FIRST_ROUND, LIMIT);
    demo.signal(Signal.INT);
    assertThat(demo.awaitExit(LIMIT)).describedAs(demo.state()).isEqualTo(4);
  }

  @ParameterizedTest
  @CsvSource({
    "--push=a-bit,         a-bit",
    "--mode=teleport,      teleport",
    "--guest=qemy,         qemu",
    "--network,            --guest qemu",
    "--memory=much,        much",
    "--channels=0,         --channels",
    "--bandwidth=0,        a rate above 0",
    "--json=/none/r,       /none/r",
    "--no-such-option,     --no-such-option",
  })
  void refusesWhatItCannotDo(String option, String said, Hosts hosts) throws Exception {
    RunningProcess demo = demo(hosts, option);
    assertThat(demo.awaitExit(LIMIT)).describedAs(demo.state()).isEqualTo(2);
    assertThat(demo.transcript().text()).contains("pageferry: ").contains(said);
  }

  /** Nobody is root in a user namespace that knows no users. */
  @Test
  void makesNoNetworkWithoutRoot(Hosts hosts) throws Exception {
    List<String> command = new ArrayList<>(List.of("unshare", "--user"));
    command.addAll(JavaCommand.of(Program.DEMO, List.of("--guest", "qemu", "--network")));
    RunningProcess demo = hosts.workplace().start("demo", command, Terminal.DETACHED, Map.of());
    mark = "pageferry-demo-" + demo.pid() + "-";
    assertThat(demo.awaitExit(LIMIT)).describedAs(demo.state()).isEqualTo(3);
    assertThat(demo.transcript().text()).contains("run it as root; nothing was started");
  }
}
