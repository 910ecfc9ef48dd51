package io.pageferry.agent.cli;

import picocli.CommandLine.Option;

/** {@code --quiet} and {@code --verbose}, a mixin of every command. */
public final class LoggingOptions {
  @Option(
      names = {"-q", "--quiet"},
      description = "Say nothing but errors and warnings.")
  private boolean quiet;

  @Option(
      names = {"-v", "--verbose"},
      description = "Say more, and show what caused an error.")
  private boolean verbose;

  public boolean quiet() {
    return quiet;
  }

  public boolean verbose() {
    return verbose;
  }

  boolean isSet() {
    return quiet || verbose;
  }

  /** Asking for both gets the errors' causes and still no chatter. */
  LogOutput.Level level() {
    if (quiet) {
      return LogOutput.Level.QUIET;
    }
    return verbose ? LogOutput.Level.VERBOSE : LogOutput.Level.NORMAL;
  }
}
