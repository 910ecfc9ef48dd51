package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LoggingOptions;
import io.pageferry.agent.cli.StateOptions;
import io.pageferry.agent.cli.Version;
import io.pageferry.agent.local.ControlRequest;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code pageferry source cancel}. */
@Command(
    name = "cancel",
    versionProvider = Version.class,
    mixinStandardHelpOptions = true,
    description =
        "Calls a migration off; the guest goes on here. In post-copy, while the link is down, only"
            + " ends the attempts to restore it.")
final class CancelCommand implements Callable<ExitCode> {
  @Parameters(
      index = "0",
      arity = "0..1",
      paramLabel = "ID",
      description = "The migration; may be left out when only one runs.")
  private @Nullable UUID migration;

  @Mixin private StateOptions state = new StateOptions();

  @SuppressWarnings("UnusedVariable") // AgentCommandLine reads it before the command runs
  @Mixin
  private LoggingOptions logging = new LoggingOptions();

  @Override
  public ExitCode call() throws CommandFailure {
    RunningMigration.Answer answer =
        RunningMigration.ask(state.directory(), migration, ControlRequest::cancel, "cancelled");
    System.out.println(answer.text() + " " + answer.migration() + ".");
    return ExitCode.DONE;
  }
}
