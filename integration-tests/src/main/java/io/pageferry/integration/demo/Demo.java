package io.pageferry.integration.demo;

import io.pageferry.agent.cli.AgentCommandLine;
import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.cli.ExitCode;
import io.pageferry.agent.cli.Version;
import io.pageferry.integration.process.GuestNetwork;
import io.pageferry.integration.process.QemuKit;
import java.io.IOException;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code ./pageferry demo}: the main job on an embedded default. */
@Command(
    name = "pageferry demo",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    sortOptions = false,
    description =
        "Starts a guest that never stops writing to its memory and two agents on this machine, and"
            + " moves the guest from one to the other while it runs.",
    footer = {
      "",
      "Exit codes: 0 moved and verified; 1 failed, 2 wrong usage, 3 refused, 4 cancelled (the guest",
      "ran on where it was until the demo ended); 5 paused and recoverable."
    })
public final class Demo implements Callable<Integer> {
  @Mixin private DemoOptions options = new DemoOptions();

  /** Runs the demo and ends with the source agent's exit code. */
  public static void main(String[] arguments) {
    AgentCommandLine.main(new Demo(), arguments);
  }

  @Override
  public Integer call() throws CommandFailure, InterruptedException {
    @Nullable String complaint = options.complaint();
    if (complaint != null) {
      throw new CommandFailure(ExitCode.USAGE, complaint);
    }
    @Nullable String obstacle = options.network ? GuestNetwork.obstacle().orElse(null) : null;
    if (obstacle != null) {
      throw new CommandFailure(
          ExitCode.REFUSED, "--network cannot be had: " + obstacle + "; nothing was started");
    }
    try (DemoRun run = DemoRun.prepare(options)) {
      return run.move();
    } catch (QemuKit.NotInstalled missing) {
      throw new CommandFailure(
          ExitCode.REFUSED, missing.getMessage() + "; nothing was started", missing);
    } catch (IOException failure) {
      throw new CommandFailure(
          ExitCode.FAILED, "the demo ended early: " + failure.getMessage(), failure);
    }
  }
}
