package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.agent.cli.CommandFailure;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.UUID;
import java.util.concurrent.Callable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

/** Commands about a migration that there is not are wrong usage. */
@Timeout(180)
class NoMigrationTest {
  private static final String ID = new UUID(4, 2).toString();

  @TempDir private Path state;
  private final StringWriter said = new StringWriter();

  private int run(Callable<?> command, String... arguments) {
    CommandLine line = new CommandLine(command).setCaseInsensitiveEnumValuesAllowed(true);
    line.setErr(new PrintWriter(said, true));
    line.setExecutionExceptionHandler(
        (failed, _, _) -> {
          CommandFailure failure = (CommandFailure) failed;
          said.append(failure.sentence());
          return failure.exit().code();
        });
    String[] all = new String[arguments.length + 2];
    all[0] = "--state";
    all[1] = state.toString();
    System.arraycopy(arguments, 0, all, 2, arguments.length);
    return line.execute(all);
  }

  @Test
  void thereIsNothingToRecover() {
    assertThat(run(new RecoverCommand(), ID)).isEqualTo(2);
    assertThat(said.toString()).contains(ID);
    assertThat(run(new RecoverCommand(), "--json", state.resolve("report").toString()))
        .as("whose report?")
        .isEqualTo(2);
    assertThat(run(new RecoverCommand())).isZero();
  }

  @Test
  void aSupervisorLearnsThatTheMigrationHadNotBegun() {
    assertThat(run(new RecoverCommand(), ID, "--unattended")).isEqualTo(1);
    assertThat(run(new RecoverCommand(), ID, "--unattended", "--called-off")).isEqualTo(4);
    assertThat(said.toString()).contains("not touched");
  }

  @Test
  void thereIsNothingToSwitchOrToCancel() {
    assertThat(run(new PostcopyCommand())).isEqualTo(2);
    assertThat(run(new CancelCommand())).isEqualTo(2);
    assertThat(said.toString()).contains("no migration runs from this host");
    assertThat(run(new PostcopyCommand(), ID)).isEqualTo(2);
    assertThat(run(new CancelCommand(), ID)).isEqualTo(2);
    assertThat(said.toString()).contains("no agent on this host runs it");
  }
}
