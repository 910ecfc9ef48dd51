package io.pageferry.source;

import io.pageferry.agent.local.ControlHandler;
import io.pageferry.agent.local.ControlReply;
import io.pageferry.agent.local.ControlRequest;
import io.pageferry.agent.local.MigrationStatus;
import java.util.List;

/** Answers the commands of this host's user about the one migration of this process. Any thread. */
final class ControlDesk implements ControlHandler {
  private final MigrationProgress progress;
  private final Cancellation cancellation;
  private final SwitchWish wish;

  ControlDesk(MigrationProgress progress, Cancellation cancellation, SwitchWish wish) {
    this.progress = progress;
    this.cancellation = cancellation;
    this.wish = wish;
  }

  @Override
  public ControlReply handle(ControlRequest request) {
    boolean ours = request.migration() == null || progress.migration().equals(request.migration());
    List<MigrationStatus> status = ours ? List.of(progress.status()) : List.of();
    return switch (request.command()) {
      case ControlRequest.STATUS -> ControlReply.done("source", progress.phase(), status);
      case ControlRequest.CANCEL -> {
        if (!ours) {
          yield ControlReply.refused("source", RunningMigration.NOT_OURS);
        }
        String effect = cancellation.effect();
        yield cancellation.request("'source cancel'")
            ? ControlReply.done("source", effect, status)
            : ControlReply.refused("source", cancellation.refusal());
      }
      case ControlRequest.POSTCOPY -> {
        if (!ours) {
          yield ControlReply.refused("source", RunningMigration.NOT_OURS);
        }
        String refusal = wish.request();
        yield refusal == null
            ? ControlReply.done("source", "switching to post-copy", status)
            : ControlReply.refused("source", refusal);
      }
      default -> ControlReply.refused("source", "unknown command " + request.command());
    };
  }
}
