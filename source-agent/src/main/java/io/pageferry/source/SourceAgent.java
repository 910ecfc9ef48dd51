package io.pageferry.source;

import io.pageferry.agent.cli.AgentCommandLine;
import io.pageferry.agent.cli.Version;
import java.util.List;
import picocli.CommandLine.Command;

/** {@code pageferry source}: the agent on the host that the guest leaves. */
@Command(
    name = "pageferry source",
    versionProvider = Version.class,
    mixinStandardHelpOptions = true,
    description = "Sends a running guest to a target agent.")
public final class SourceAgent {
  /** How this agent calls itself towards the other one. */
  static final String INTRODUCTION = "pageferry-source " + Version.number();

  private SourceAgent() {}

  public static void main(String[] args) {
    AgentCommandLine.main(
        new SourceAgent(),
        List.of(
            MigrateCommand.class,
            StatusCommand.class,
            CancelCommand.class,
            PostcopyCommand.class,
            RecoverCommand.class),
        args);
  }
}
