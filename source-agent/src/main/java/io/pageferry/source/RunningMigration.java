package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.local.ControlClient;
import io.pageferry.agent.local.ControlReply;
import io.pageferry.agent.local.ControlRequest;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** A migration that an agent of this host drives, as a command of the user speaks to it. */
final class RunningMigration {
  /** What an agent says that is asked about a migration of another one. */
  static final String NOT_OURS = "this agent does not move that guest";

  /** An agent that did as it was asked to. */
  record Answer(UUID migration, String text) {}

  private RunningMigration() {}

  /**
   * Has the agent that runs it do something.
   *
   * @param named which; null for the only one
   * @param done what it is then, as the end of a sentence
   * @return which, and what its agent says of it
   * @throws CommandFailure USAGE if there is no such migration, FAILED if its agent refuses
   */
  static Answer ask(
      Path stateDirectory,
      @Nullable UUID named,
      Function<UUID, ControlRequest> request,
      String done)
      throws CommandFailure {
    try {
      UUID chosen = named == null ? only(stateDirectory) : named;
      List<ControlReply> replies =
          ControlClient.askAll(stateDirectory, "source", request.apply(chosen));
      ControlReply granted = replies.stream().filter(ControlReply::ok).findFirst().orElse(null);
      if (granted != null) {
        return new Answer(chosen, granted.text());
      }
      String refusal =
          replies.stream()
              .map(ControlReply::text)
              .filter(text -> !text.equals(NOT_OURS))
              .findFirst()
              .orElse(null);
      throw new CommandFailure(
          refusal == null ? ExitCode.USAGE : ExitCode.FAILED,
          "migration %s was not %s: %s"
              .formatted(
                  chosen, done, refusal == null ? "no agent on this host runs it" : refusal));
    } catch (IOException e) {
      throw new CommandFailure(
          ExitCode.FAILED, "the agents of this host cannot be asked: " + e.getMessage(), e);
    }
  }

  private static UUID only(Path stateDirectory) throws IOException, CommandFailure {
    List<UUID> running =
        ControlClient.askAll(stateDirectory, "source", ControlRequest.status()).stream()
            .flatMap(reply -> reply.migrations().stream())
            .map(status -> status.migration())
            .toList();
    if (running.isEmpty()) {
      throw new CommandFailure(ExitCode.USAGE, "no migration runs from this host");
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
