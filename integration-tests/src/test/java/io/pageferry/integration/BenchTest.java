package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.pageferry.integration.process.JavaCommand;
import io.pageferry.integration.process.Program;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Terminal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** The benchmarks as a user starts them; what they measure is nobody's business here. */
@ExtendWith(Hosts.Shared.class)
final class BenchTest {
  private static final Duration LIMIT = Duration.ofSeconds(280);

  @TempDir private Path scratch;

  private static RunningProcess bench(Hosts hosts, String... options) throws Exception {
    RunningProcess bench =
        hosts
            .workplace()
            .start(
                "bench",
                JavaCommand.of(Program.BENCH, List.of(options)),
                Terminal.DETACHED,
                Map.of());
    bench.awaitExit(LIMIT);
    return bench;
  }

  private static int exit(RunningProcess bench) throws Exception {
    return bench.awaitExit(LIMIT);
  }

  @Test
  void whatIsMeasuredIsPrintedAndWritten(Hosts hosts) throws Exception {
    Path json = scratch.resolve("figures.json");
    RunningProcess bench =
        bench(
            hosts,
            "faults",
            "--quick",
            "--only",
            "nothing pushed, plain",
            "--json",
            json.toString());
    assertThat(exit(bench)).describedAs(bench.state()).isZero();
    JsonNode figures = new ObjectMapper().readTree(Files.readString(json));
    assertThat(figures).hasSize(1);
    JsonNode figure = figures.get(0);
    List<String> names = new ArrayList<>();
    figure.fieldNames().forEachRemaining(names::add);
    assertThat(names)
        .contains("name", "value", "unit", "yardstick", "yardstickValue", "ratio", "runs");
    assertThat(figure.path("name").asText()).contains("nothing pushed, plain");
    assertThat(figure.path("value").asDouble()).isPositive();
    assertThat(bench.transcript().text()).contains("nothing pushed, plain");
  }

  @Test
  void aBenchmarkThatThereIsNotIsAMistake(Hosts hosts) throws Exception {
    RunningProcess bench = bench(hosts, "speed");
    assertThat(exit(bench)).describedAs(bench.state()).isEqualTo(2);
    assertThat(bench.transcript().text())
        .contains("no benchmark 'speed'", "wire, faults, paging, savings");
  }
}
