package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.local.ControlClient;
import io.pageferry.agent.local.ControlRequest;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;

/** The migration that a command means which names none. */
final class RunningMigration {
  private RunningMigration() {}

  /**
   * @throws CommandFailure unless exactly one runs from this host
   */
  static UUID only(Path stateDirectory) throws IOException, CommandFailure {
    List<UUID> running =
        ControlClient.askAll(stateDirectory, "source", ControlRequest.status()).stream()
            .flatMap(reply -> reply.migrations().stream())
            .map(status -> status.migration())
            .toList();
    if (running.isEmpty()) {
      throw new CommandFailure(ExitCode.FAILED, "no migration runs from this host");
    }
    if (running.size() > 1) {
      throw new CommandFailure(
          ExitCode.USAGE,
          "%d migrations run from this host: name one of them, 'pageferry source status' lists them"
              .formatted(running.size()));
    }
    return running.get(0);
  }
}
