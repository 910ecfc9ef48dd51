package io.pageferry.target;

import io.pageferry.agent.cli.AgentCommandLine;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LoggingOptions;
import io.pageferry.agent.cli.Version;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The target agent's command line. */
@Command(
    name = "pageferry target",
    description = "Receives guests on this host.",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class)
public final class TargetAgent implements Callable<ExitCode> {
  @Spec private @Nullable CommandSpec spec;

  @SuppressWarnings("unused") // set by picocli, read by AgentCommandLine
  @Mixin
  private LoggingOptions logging = new LoggingOptions();

  public static void main(String... args) {
    AgentCommandLine.main(
        new TargetAgent(),
        List.of(ServeCommand.class, StatusCommand.class, SweepCommand.class),
        args);
  }

  @Override
  public ExitCode call() {
    if (spec == null) {
      throw new IllegalStateException("run without a command line");
    }
    throw new ParameterException(spec.commandLine(), "say what to do: serve, status or sweep");
  }
}
