package io.pageferry.integration.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.pageferry.agent.cli.AgentCommandLine;
import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LoggingOptions;
import io.pageferry.agent.cli.Version;
import io.pageferry.agent.report.ReportFile;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code ./pageferry bench NAME}. */
@Command(
    name = "pageferry bench",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    sortOptions = false,
    description =
        "Measures on real processes. Each figure is the median of several runs, interleaved with"
            + " runs of its yardstick.")
public final class Bench implements Callable<ExitCode> {
  @Parameters(
      paramLabel = "NAME",
      description = {
        "What to measure:",
        "wire: how memory crosses;",
        "faults: post-copy's page faults, downtime, pre-paging;",
        "paging: the cost model of post-copy against measurements on slow links (needs root);",
        "savings: what is not sent, against a plain pre-copy;",
        "peers: against QEMU's own migration of the same guest (needs QEMU)."
      })
  private String name = "";

  @Option(names = "--json", paramLabel = "FILE", description = "Write the figures to a file.")
  private @Nullable Path json;

  @Option(
      names = "--quick",
      description = "Smaller images, fewer runs, no guests of many GiB: for a first look.")
  private boolean quick;

  @Option(
      names = "--only",
      paramLabel = "TEXT",
      description = "Only figures whose name contains this.")
  private String only = "";

  @SuppressWarnings("UnusedVariable") // AgentCommandLine reads it before the command runs
  @Mixin
  private LoggingOptions logging = new LoggingOptions();

  /** Measures, prints, and ends with 0, or 1 when a run failed. */
  public static void main(String[] arguments) {
    AgentCommandLine.main(new Bench(), arguments);
  }

  @Override
  public ExitCode call() throws CommandFailure, InterruptedException {
    Results results = new Results();
    try (FreePageReporting _ = FreePageReporting.suspended();
        Benchmark bench = start()) {
      bench.run(figure -> figure.contains(only), results);
      if (json != null) {
        ReportFile.writeJson(
            json,
            new ObjectMapper()
                    .writerWithDefaultPrettyPrinter()
                    .writeValueAsString(results.figures())
                + "\n");
      }
      return ExitCode.DONE;
    } catch (IOException failure) {
      throw new CommandFailure(
          ExitCode.FAILED, "the benchmark ended early: " + failure.getMessage(), failure);
    }
  }

  private Benchmark start() throws CommandFailure, IOException, InterruptedException {
    return switch (name) {
      case "wire" -> WireBench.start(quick);
      case "faults" -> FaultBench.start(quick);
      case "paging" -> PagingBench.start(quick);
      case "savings" -> SavingsBench.start(quick);
      case "peers" -> PeersBench.start(quick);
      default ->
          throw new CommandFailure(
              ExitCode.USAGE,
              "there is no benchmark '"
                  + name
                  + "'; there are: wire, faults, paging, savings, peers");
    };
  }
}
