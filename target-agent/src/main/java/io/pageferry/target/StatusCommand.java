package io.pageferry.target;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LoggingOptions;
import io.pageferry.agent.cli.StateOptions;
import io.pageferry.agent.cli.Version;
import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.agent.copies.GuestCopy;
import io.pageferry.agent.ledger.LedgerEntry;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerListing;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.agent.local.ControlClient;
import io.pageferry.agent.local.ControlReply;
import io.pageferry.agent.local.ControlRequest;
import io.pageferry.agent.local.MigrationStatus;
import io.pageferry.guest.units.ByteSize;
import io.pageferry.target.incoming.TargetLedger;
import io.pageferry.target.recovery.Unfinished;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code target status}: what is being received, and what the ledgers say. */
@Command(
    name = "status",
    description = "Show what is being received here, and what the ledgers say.",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class)
final class StatusCommand implements Callable<ExitCode> {
  private static final int PAGE = 4096;

  @Mixin private StateOptions state = new StateOptions();

  @SuppressWarnings("unused") // set by picocli, read by AgentCommandLine
  @Mixin
  private LoggingOptions logging = new LoggingOptions();

  @Override
  public ExitCode call() throws CommandFailure {
    try {
      List<ControlReply> agents =
          ControlClient.askAll(state.directory(), ServeCommand.ROLE, ControlRequest.status());
      if (agents.isEmpty()) {
        System.out.println("no target agent runs here");
      }
      for (ControlReply agent : agents) {
        System.out.println(
            "target agent, process "
                + agent.pid()
                + ": "
                + agent.migrations().size()
                + " migration(s)");
        agent.migrations().forEach(StatusCommand::print);
      }
      LedgerListing ledgers = OwnershipLedger.list(state.directory(), LedgerSide.TARGET);
      ledgers.entries().stream().filter(entry -> !entry.held()).forEach(StatusCommand::print);
      for (LedgerException unreadable : ledgers.unreadable()) {
        System.out.println("  " + unreadable.getMessage());
      }
      for (GuestCopy copy : new GuestCopies(state.directory(), CopyLimits.NONE).list()) {
        System.out.println("  " + copy.sentence());
      }
      return ledgers.unreadable().isEmpty() ? ExitCode.DONE : ExitCode.FAILED;
    } catch (IOException e) {
      throw new CommandFailure(ExitCode.FAILED, String.valueOf(e.getMessage()), e);
    }
  }

  private static void print(MigrationStatus one) {
    System.out.printf(
        "  %s  guest '%s' from %s: %s, %s of %s landed, %s%s/s%n",
        one.migration(),
        one.guest(),
        one.peer(),
        one.phase(),
        ByteSize.format(one.pagesSent() * PAGE),
        ByteSize.format(one.pagesTotal() * PAGE),
        one.remainingPages() > 0 ? ByteSize.format(one.remainingPages() * PAGE) + " to come, " : "",
        ByteSize.format(one.bytesPerSecond()));
  }

  private static void print(LedgerEntry entry) {
    System.out.printf(
        "  %s  guest '%s' from %s: %s since %s%n",
        entry.migration(),
        entry.fields().guest(),
        entry.fields().peer(),
        state(entry),
        entry.since());
  }

  private static String state(LedgerEntry entry) {
    String ended = entry.fields().more().get(TargetLedger.ENDED);
    if (ended != null) {
      return entry.state() + ", but its pages were not all here when it ended (" + ended + ")";
    }
    return Unfinished.is(entry.state(), entry.fields())
        ? entry.state() + ", pages missing, waits for 'pageferry target serve'"
        : entry.state().toString();
  }
}
