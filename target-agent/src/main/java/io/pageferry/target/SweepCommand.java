package io.pageferry.target;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.LoggingOptions;
import io.pageferry.agent.cli.StateOptions;
import io.pageferry.agent.cli.Version;
import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.agent.copies.GuestCopies;
import io.pageferry.agent.copies.GuestCopy;
import io.pageferry.target.recovery.Sweep;
import io.pageferry.target.recovery.Unfinished;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code target sweep}: settles what a killed agent left. */
@Command(
    name = "sweep",
    description =
        "Settle what a killed agent left: remove what was never taken over, start a guest that was"
            + " taken over and not started. A guest whose pages are still missing is left to"
            + " 'target serve'.",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class)
final class SweepCommand implements Callable<ExitCode> {
  @Mixin private StateOptions state = new StateOptions();
  @Mixin private LoggingOptions logging = new LoggingOptions();

  @Override
  public ExitCode call() throws CommandFailure {
    List<Sweep.Finding> findings;
    try {
      findings = new ArrayList<>(new Sweep(state.directory()).run());
      findings.addAll(new Unfinished(state.directory()).findings());
      for (GuestCopy copy : new GuestCopies(state.directory(), CopyLimits.NONE).removeOver()) {
        findings.add(new Sweep.Finding("removed: " + copy.sentence(), true));
      }
    } catch (IOException e) {
      throw new CommandFailure(ExitCode.FAILED, String.valueOf(e.getMessage()), e);
    }
    if (findings.isEmpty() && !logging.quiet()) {
      System.out.println("nothing to sweep");
    }
    findings.forEach(finding -> System.out.println(finding.sentence()));
    return findings.stream().allMatch(Sweep.Finding::settled) ? ExitCode.DONE : ExitCode.FAILED;
  }
}
