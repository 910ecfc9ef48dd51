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

/** {@code pageferry source postcopy}. */
@Command(
    name = "postcopy",
    versionProvider = Version.class,
    mixinStandardHelpOptions = true,
    description =
        "Lets a guest that is being moved by pre-copy run on the target now; its pages follow.")
final class PostcopyCommand implements Callable<ExitCode> {
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
    UUID asked =
        RunningMigration.ask(state.directory(), migration, ControlRequest::postcopy, "switched")
            .migration();
    System.out.println("Switching migration " + asked + " to post-copy.");
    return ExitCode.DONE;
  }
}
