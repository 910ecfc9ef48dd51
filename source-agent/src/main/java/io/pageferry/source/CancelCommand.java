package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LoggingOptions;
import io.pageferry.agent.cli.StateOptions;
import io.pageferry.agent.cli.Version;
import io.pageferry.agent.local.ControlClient;
import io.pageferry.agent.local.ControlReply;
import io.pageferry.agent.local.ControlRequest;
import java.io.IOException;
import java.util.List;
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
    description = "Calls a migration off; the guest goes on here.")
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
    try {
      UUID chosen = migration == null ? RunningMigration.only(state.directory()) : migration;
      List<ControlReply> replies =
          ControlClient.askAll(state.directory(), "source", ControlRequest.cancel(chosen));
      if (replies.stream().anyMatch(ControlReply::ok)) {
        System.out.println("Cancelling migration " + chosen + ".");
        return ExitCode.DONE;
      }
      String why =
          replies.stream()
              .map(ControlReply::text)
              .filter(text -> text.startsWith(Cancellation.TOO_LATE))
              .findFirst()
              .orElse("no agent on this host runs it");
      throw new CommandFailure(
          ExitCode.FAILED, "migration %s was not cancelled: %s".formatted(chosen, why));
    } catch (IOException e) {
      throw new CommandFailure(
          ExitCode.FAILED, "the agents of this host cannot be asked: " + e.getMessage(), e);
    }
  }
}
