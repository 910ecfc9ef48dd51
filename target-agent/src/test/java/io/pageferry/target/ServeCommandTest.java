package io.pageferry.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.protocol.message.AbortReason;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The target as its user meets it: a process, its words and its exit codes. */
@Timeout(180)
class ServeCommandTest {
  private static final long MEMORY = 1 << 20;

  private TargetBench bench;

  @BeforeEach
  void setUp() throws Exception {
    bench = new TargetBench();
    bench.describe("alpha", MEMORY);
  }

  @AfterEach
  void tearDown() throws Exception {
    bench.close();
  }

  private void assertEnds(int exit, String sentence, String... arguments) throws Exception {
    try (TargetProcess process = new TargetProcess(bench, arguments)) {
      assertThat(process.exitCode()).as(process.err()).isEqualTo(exit);
      assertThat(process.err()).contains(sentence).doesNotContain("\tat ");
    }
  }

  @Test
  void whatCannotBeServedIsSaidInASentence() throws Exception {
    String guests = bench.guests.toString();
    String state = bench.state.toString();
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      assertEnds(
          1,
          "127.0.0.1:" + taken.getLocalPort(),
          "serve",
          "--plaintext",
          "--guests",
          guests,
          "--state",
          state,
          "--listen",
          "127.0.0.1:" + taken.getLocalPort());
    }
    assertEnds(
        3,
        "--plaintext-anywhere",
        "serve",
        "--plaintext",
        "--guests",
        guests,
        "--state",
        state,
        "--listen",
        "0.0.0.0:0");
    assertEnds(
        2,
        "no-such-folder",
        "serve",
        "--plaintext",
        "--state",
        state,
        "--listen",
        "127.0.0.1:0",
        "--guests",
        bench.root.resolve("no-such-folder").toString());
    assertEnds(
        2,
        "PEER=GUEST",
        "serve",
        "--plaintext",
        "--guests",
        guests,
        "--state",
        state,
        "--listen",
        "127.0.0.1:0",
        "--allow",
        "nonsense");
    assertEnds(2, "--pki", "serve", "--guests", guests, "--listen", "127.0.0.1:0");
    assertEnds(2, "serve, status or sweep");
  }

  @Test
  void statusAndMetricsShowWhatIsOnItsWayAndSigtermEndsIt() throws Exception {
    try (TargetProcess agent =
            new TargetProcess(
                bench,
                "serve",
                "--plaintext",
                "--listen",
                "127.0.0.1:0",
                "--guests",
                bench.guests.toString(),
                "--state",
                bench.state.toString(),
                "--metrics",
                "127.0.0.1:0");
        ScriptedSource source = new ScriptedSource(agent.address(), MEMORY)) {
      assertThat(agent.err()).contains("PLAINTEXT");
      source.begin("alpha", 1, false);

      try (TargetProcess status =
          new TargetProcess(bench, "status", "--state", bench.state.toString())) {
        assertThat(status.exitCode()).isZero();
        assertThat(status.out()).contains("1 migration", source.migration.toString(), "alpha");
      }
      assertThat(scrape(metricsPort(agent))).contains("pageferry_target_migrations_active 1.0");

      agent.terminate();
      assertThat(source.expectAbort().reason()).isEqualTo(AbortReason.SHUTTING_DOWN);
      agent.exitCode();
      assertThat(bench.ledger(source.migration).state()).isEqualTo(LedgerState.ABANDONED);
    }
    bench.assertNothingLeft();
    assertThat(TargetBench.files(bench.state.resolve("run"))).isEmpty();
    try (TargetProcess sweep =
        new TargetProcess(bench, "sweep", "--state", bench.state.toString())) {
      assertThat(sweep.exitCode()).isZero();
      assertThat(sweep.out()).contains("nothing to sweep");
    }
  }

  @Test
  void theSweepCommandCleansUpAfterAKill() throws Exception {
    try (TargetProcess agent = new TargetProcess(bench);
        ScriptedSource source = new ScriptedSource(agent.address(), MEMORY)) {
      source.begin("alpha", 1, false);
      agent.kill();
      assertThat(Files.exists(bench.image("alpha"))).isTrue();
      try (TargetProcess sweep =
          new TargetProcess(bench, "sweep", "--state", bench.state.toString())) {
        assertThat(sweep.exitCode()).as(sweep.err()).isZero();
        assertThat(sweep.out()).contains("alpha", "abandoned", "nothing of it is left");
      }
    }
    bench.assertNothingLeft();
    await().atMost(TargetBench.PATIENCE).until(() -> bench.processes().isEmpty());
  }

  private static int metricsPort(TargetProcess agent) {
    Matcher said =
        await()
            .atMost(TargetBench.PATIENCE)
            .until(
                () -> Pattern.compile("metrics on 127\\.0\\.0\\.1:(\\d+)").matcher(agent.err()),
                Matcher::find);
    return Integer.parseInt(said.group(1));
  }

  private static String scrape(int port) throws IOException, InterruptedException {
    try (HttpClient client = HttpClient.newHttpClient()) {
      return client
          .send(
              HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/metrics")).build(),
              HttpResponse.BodyHandlers.ofString())
          .body();
    }
  }
}
