package io.pageferry.integration.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.pageferry.integration.process.JavaCommand;
import io.pageferry.integration.process.ProcessFailure;
import io.pageferry.integration.process.Program;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Runs of the demo as a user starts it, for the downtime that its guest saw. */
final class MeasuredDemos {
  private static final Duration LIMIT = Duration.ofMinutes(2);

  private final Workplace workplace;

  MeasuredDemos(Workplace workplace) {
    this.workplace = workplace;
  }

  /**
   * Runs the demo several times.
   *
   * @param options further options
   * @return milliseconds for which the guest ran nowhere, a value a run
   * @throws IOException if one of them fails
   */
  Series downtimes(int runs, String... options) throws IOException, InterruptedException {
    Series millis = new Series();
    Path file = workplace.folder().resolve("demo.json");
    List<String> arguments = new ArrayList<>(List.of("--quiet", "--json", file.toString()));
    arguments.addAll(List.of(options));
    for (int run = 0; run < runs; run++) {
      RunningProcess demo =
          workplace.start(
              "demo", JavaCommand.of(Program.DEMO, arguments), Terminal.DETACHED, Map.of());
      int exit = demo.awaitExit(LIMIT);
      if (exit != 0) {
        throw new ProcessFailure("the demo ended with exit code " + exit + "\n" + demo.state());
      }
      JsonNode report = new ObjectMapper().readTree(Files.readString(file));
      millis.add(report.path("guestDowntimeMs").asDouble());
    }
    return millis;
  }
}
