package io.pageferry.source;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.CopyOptions;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LogOutput;
import io.pageferry.agent.cli.LoggingOptions;
import io.pageferry.agent.cli.StateOptions;
import io.pageferry.agent.cli.TimeSpanConverter;
import io.pageferry.agent.cli.TlsOptions;
import io.pageferry.agent.cli.Version;
import io.pageferry.agent.ledger.LedgerEntry;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerListing;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.agent.local.ControlSocket;
import io.pageferry.guest.control.PrivateFolder;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code pageferry source recover}: takes up what an agent left when it ended too early. */
@Command(
    name = "recover",
    versionProvider = Version.class,
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Takes up a migration whose agent ended too early.",
      "A guest that had not been handed over is resumed here; for one that had been, the target's"
          + " ledger is asked whose it is, and if it still waits for pages that are only here, they"
          + " are sent. The credentials of the migration are used again unless"
          + " others are given."
    })
final class RecoverCommand implements Callable<ExitCode> {
  private static final Logger STORY = LogOutput.story("source");

  @Spec private @Nullable CommandSpec spec;

  @Parameters(
      index = "0",
      arity = "0..1",
      paramLabel = "ID",
      description = "The migration; all that wait for recovery if left out.")
  private @Nullable UUID migration;

  @Option(
      names = "--settle-for",
      paramLabel = "TIME",
      defaultValue = "20s",
      converter = TimeSpanConverter.class,
      description =
          "How long to try to reach the target; in post-copy at least the migration's"
              + " --recover-for (default: ${DEFAULT-VALUE}).")
  private Duration settleFor = Duration.ZERO;

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description =
          "Write the report of what is sent here; with an ID, and only of a guest that still waits"
              + " for pages.")
  private @Nullable Path json;

  @Option(
      names = "--force",
      description =
          "Resume the guest here where the target, which is asked first, does not say that it runs"
              + " there. If it does all the same, or is started there later, two copies run and one"
              + " of them will be lost.")
  private boolean force;

  @Option(
      names = "--unattended",
      description =
          "For supervisors of an agent that was killed: fails (exit code 1) when the guest is on"
              + " this host again, because then its migration failed.")
  private boolean unattended;

  @Option(
      names = "--called-off",
      description =
          "With --unattended: the agent ended because somebody told it to, so that a guest that is on"
              + " this host again is what was wanted (exit code 4).")
  private boolean calledOff;

  @Mixin private StateOptions state = new StateOptions();
  @Mixin private CopyOptions copies = new CopyOptions();
  @Mixin private TlsOptions tls = new TlsOptions();

  @Mixin private LoggingOptions logging = new LoggingOptions();

  /** The command that takes up this migration, to be shown to the user. */
  static String of(UUID migration, Path stateDirectory) {
    return "pageferry source recover " + migration + StateOptions.argument(stateDirectory);
  }

  @Override
  public ExitCode call() throws CommandFailure {
    if (json != null && migration == null && spec != null) {
      throw new ParameterException(spec.commandLine(), "--json needs the migration's ID");
    }
    PrivateFolder.sweep();
    ControlSocket.sweep(state.directory());
    List<UUID> chosen = migration == null ? waiting() : List.of(migration);
    if (chosen.isEmpty() && !unattended) {
      System.out.println("No migration waits for recovery.");
    }
    CommandFailure first = null;
    boolean stayed = false;
    for (UUID id : chosen) {
      try (OwnershipLedger ledger =
          OwnershipLedger.open(state.directory(), LedgerSide.SOURCE, id)) {
        STORY.info(
            "{}",
            new Recovery(ledger, tls, settleFor, force, logging.quiet(), json, copies.limits())
                .run());
        stayed |= ledger.current() != LedgerState.COMPLETED;
      } catch (LedgerException e) {
        first = worse(first, unopened(e));
      } catch (CommandFailure e) {
        first = worse(first, e);
      }
    }
    if (first != null) {
      throw first;
    }
    return unattended && stayed ? stayed() : ExitCode.DONE;
  }

  /** How a migration ended whose guest is on this host again. */
  private ExitCode stayed() {
    return calledOff ? ExitCode.CANCELLED : ExitCode.FAILED;
  }

  private CommandFailure unopened(LedgerException e) {
    if (e.problem() != LedgerException.Problem.MISSING) {
      return new CommandFailure(ExitCode.FAILED, sentence(e), e);
    }
    return unattended
        ? new CommandFailure(
            stayed(), "the migration had not begun, and its guest was not touched", e)
        : new CommandFailure(ExitCode.USAGE, sentence(e), e);
  }

  /** The one that is reported; any other is logged here. */
  private static CommandFailure worse(@Nullable CommandFailure earlier, CommandFailure later) {
    if (earlier == null) {
      return later;
    }
    STORY.error("{}", later.sentence());
    return earlier;
  }

  private List<UUID> waiting() throws CommandFailure {
    try {
      LedgerListing listing = OwnershipLedger.list(state.directory(), LedgerSide.SOURCE);
      listing.unreadable().forEach(unreadable -> STORY.error("{}", unreadable.getMessage()));
      List<UUID> found = new ArrayList<>();
      for (LedgerEntry entry : listing.entries()) {
        if (!entry.held() && !entry.settled()) {
          found.add(entry.migration());
        }
      }
      return found;
    } catch (LedgerException e) {
      throw new CommandFailure(ExitCode.FAILED, sentence(e), e);
    }
  }

  private static String sentence(LedgerException e) {
    return String.valueOf(e.getMessage());
  }
}
