package io.pageferry.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

class AgentCommandLineTest {
  /** Ends as it is told to. */
  @Command(
      name = "pageferry trial",
      versionProvider = Version.class,
      mixinStandardHelpOptions = true)
  static final class Trial implements Callable<ExitCode> {
    @SuppressWarnings("UnusedVariable") // AgentCommandLine finds it among the mixins
    @Mixin
    private LoggingOptions logging = new LoggingOptions();

    @SuppressWarnings("UnusedVariable") // there to be parsed
    @Option(names = "--size", converter = SizeConverter.class)
    private long size;

    private @Nullable Exception failure;
    private ExitCode exit = ExitCode.DONE;

    @Override
    public ExitCode call() throws Exception {
      if (failure != null) {
        throw failure;
      }
      return exit;
    }
  }

  private final Trial trial = new Trial();
  private final StringWriter err = new StringWriter();
  private final StringWriter out = new StringWriter();

  private int run(String... args) {
    CommandLine line = AgentCommandLine.commandLine(trial);
    line.setErr(new PrintWriter(err, true)).setOut(new PrintWriter(out, true));
    return line.execute(args);
  }

  /** Others are below it. */
  @Command(name = "pageferry trials", mixinStandardHelpOptions = true)
  static final class Trials {}

  /** The first below. */
  @Command(name = "one")
  static final class One implements Callable<ExitCode> {
    @Override
    public ExitCode call() {
      return ExitCode.CANCELLED;
    }
  }

  /** The second below. */
  @Command(name = "other")
  static final class Other implements Callable<ExitCode> {
    @Override
    public ExitCode call() {
      return ExitCode.DONE;
    }
  }

  private int runBelow(String... args) {
    CommandLine line =
        AgentCommandLine.commandLine(new Trials(), List.of(One.class, Other.class), args);
    line.setErr(new PrintWriter(err, true)).setOut(new PrintWriter(out, true));
    return line.execute(args);
  }

  @Test
  void ofTheCommandsBelowOnlyTheOneThatIsNamedIsRead() {
    List<Class<?>> both = List.of(One.class, Other.class);
    assertThat(AgentCommandLine.commandLine(new Trials(), both, "one").getSubcommands())
        .containsOnlyKeys("one");
    assertThat(runBelow("one")).isEqualTo(ExitCode.CANCELLED.code());
    assertThat(runBelow("other")).isZero();
  }

  @Test
  void whoNamesNoCommandBelowHearsOfAll() {
    assertThat(runBelow("--help")).isZero();
    assertThat(out.toString()).contains("one", "other");
    assertThat(runBelow("ohter")).isEqualTo(ExitCode.USAGE.code());
    assertThat(err.toString()).contains("'ohter'").contains("other");
  }

  @ParameterizedTest
  @EnumSource(ExitCode.class)
  void theExitCodeIsWhatTheCommandReturns(ExitCode exit) {
    trial.exit = exit;
    assertThat(run()).isEqualTo(exit.code());
    assertThat(err.toString()).isEmpty();
  }

  @ParameterizedTest
  @EnumSource(ExitCode.class)
  void aFailureIsOneSentenceAndItsCode(ExitCode exit) {
    trial.failure = new CommandFailure(exit, "the target is not there", new IOException("refused"));
    assertThat(run()).isEqualTo(exit.code());
    assertThat(err.toString()).isEqualToIgnoringNewLines("pageferry: the target is not there");
  }

  @Test
  void verboseShowsTheCauses() {
    trial.failure =
        new CommandFailure(
            ExitCode.FAILED, "no", new IOException("outer", new IllegalStateException("inner")));
    assertThat(run("--verbose")).isEqualTo(1);
    assertThat(err.toString()).contains("IOException: outer", "IllegalStateException: inner");
  }

  @Test
  void aDefectIsOneSentenceTooAndSaysWhereToLook() {
    trial.failure = new IllegalStateException("queue is closed");
    assertThat(run()).isEqualTo(1);
    assertThat(err.toString().strip().lines()).hasSize(1);
    assertThat(err.toString()).contains("IllegalStateException: queue is closed", "--verbose");
  }

  @Test
  void wrongUsageIsTwoAndSaysWhatIsWrong() {
    assertThat(run("--size", "many")).isEqualTo(2);
    assertThat(err.toString()).contains("pageferry: ", "many", "--help");
    assertThat(err.toString()).doesNotContain("Exception");
  }

  @Test
  void anUnknownOptionIsAnsweredWithTheNearest() {
    assertThat(run("--sise", "1")).isEqualTo(2);
    assertThat(err.toString()).contains("--sise").contains("--size");
  }

  @Test
  void helpAndVersionGoToStandardOutput() {
    assertThat(run("--help")).isZero();
    assertThat(run("--version")).isZero();
    assertThat(out.toString()).contains("Usage: pageferry trial", "pageferry " + Version.number());
    assertThat(Version.number()).matches("\\d+\\.\\d+.*");
  }
}
