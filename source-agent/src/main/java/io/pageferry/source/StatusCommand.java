package io.pageferry.source;

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
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.agent.local.ControlClient;
import io.pageferry.agent.local.ControlReply;
import io.pageferry.agent.local.ControlRequest;
import io.pageferry.agent.local.MigrationStatus;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code pageferry source status}: what runs, and what was left for {@code source recover}. */
@Command(
    name = "status",
    versionProvider = Version.class,
    mixinStandardHelpOptions = true,
    description = "Shows the migrations that run from this host and those that wait for recovery.")
final class StatusCommand implements Callable<ExitCode> {
  @Mixin private StateOptions state = new StateOptions();

  @SuppressWarnings("UnusedVariable") // AgentCommandLine reads it before the command runs
  @Mixin
  private LoggingOptions logging = new LoggingOptions();

  @Override
  public ExitCode call() throws CommandFailure {
    try {
      int shown = showRunning() + showWaiting() + showCopies();
      if (shown == 0) {
        System.out.println("No migration runs from here and none waits for recovery.");
      }
      return ExitCode.DONE;
    } catch (LedgerException e) {
      throw new CommandFailure(ExitCode.FAILED, String.valueOf(e.getMessage()), e);
    } catch (IOException e) {
      throw new CommandFailure(
          ExitCode.FAILED, "the agents of this host cannot be asked: " + e.getMessage(), e);
    }
  }

  private int showRunning() throws IOException {
    int shown = 0;
    for (ControlReply reply :
        ControlClient.askAll(state.directory(), "source", ControlRequest.status())) {
      for (MigrationStatus status : reply.migrations()) {
        System.out.printf(
            "%s  guest %s to %s  %s  %,d of %,d pages sent, %,d to go in this round, %.1f MB/s%n",
            status.migration(),
            status.guest(),
            status.peer(),
            status.phase(),
            status.pagesSent(),
            status.pagesTotal(),
            status.remainingPages(),
            status.bytesPerSecond() / 1e6);
        shown++;
      }
    }
    return shown;
  }

  private int showCopies() throws IOException {
    List<GuestCopy> copies = new GuestCopies(state.directory(), CopyLimits.NONE).list();
    copies.forEach(copy -> System.out.println(copy.sentence()));
    return copies.size();
  }

  private int showWaiting() throws LedgerException {
    LedgerListing listing = OwnershipLedger.list(state.directory(), LedgerSide.SOURCE);
    int shown = 0;
    for (LedgerEntry entry : listing.entries()) {
      if (!entry.held() && !entry.settled()) {
        System.out.printf(
            "%s  guest %s  %s; its agent ended as %s at %s: continue with '%s'%n",
            entry.migration(),
            entry.fields().guest(),
            guestState(entry.state()),
            entry.state(),
            entry.since(),
            RecoverCommand.of(entry.migration(), state.directory()));
        shown++;
      }
    }
    for (LedgerException unreadable : listing.unreadable()) {
      System.out.println(unreadable.getMessage());
      shown++;
    }
    return shown;
  }

  /** What the ledger lets one say of the guest, whose agent said nothing more. */
  private static String guestState(LedgerState state) {
    return switch (state) {
      case PLANNED, STREAMING -> "left running here";
      case PAUSED, RECLAIMED -> "here, perhaps paused";
      case HANDED_OVER -> "paused: only the target knows whose it is";
      case SERVING -> "paused: on the target it waits for pages that are only here";
      case COMPLETED -> "on the target; its copy here is still to be ended";
      default -> "settled";
    };
  }
}
