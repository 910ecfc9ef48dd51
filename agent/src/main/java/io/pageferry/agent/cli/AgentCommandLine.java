package io.pageferry.agent.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.TypeConversionException;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * Runs a picocli command the way every command of Pageferry behaves: its exit code is one of {@link
 * ExitCode}, a failure is one sentence on standard error, and the causes come with {@code
 * --verbose}.
 *
 * <p>A command is a {@code Callable<ExitCode>}, or {@code Callable<Integer>}, and throws {@link
 * CommandFailure}.
 */
public final class AgentCommandLine {
  private AgentCommandLine() {}

  /** Runs the command and ends the process with its exit code. */
  public static void main(Object command, String... args) {
    System.exit(run(command, args));
  }

  /**
   * The same for a command that has others below it. Only the one that is named is read, options
   * and all, which takes a young virtual machine tens of milliseconds each; all of them where none
   * is named, so that help and suggestions know them.
   */
  public static void main(Object command, List<Class<?>> below, String... args) {
    System.exit(commandLine(command, below, args).execute(args));
  }

  static CommandLine commandLine(Object command, List<Class<?>> below, String... args) {
    CommandLine line = new CommandLine(command);
    List<Class<?>> named = new ArrayList<>(below);
    named.removeIf(each -> args.length == 0 || !args[0].equals(nameOf(each)));
    (named.isEmpty() ? below : named).forEach(line::addSubcommand);
    return tuned(line);
  }

  private static String nameOf(Class<?> command) {
    return command.getAnnotation(CommandLine.Command.class).name();
  }

  /** Runs the command and returns its exit code. */
  public static int run(Object command, String... args) {
    return commandLine(command).execute(args);
  }

  static CommandLine commandLine(Object command) {
    return tuned(new CommandLine(command));
  }

  private static CommandLine tuned(CommandLine line) {
    line.setCaseInsensitiveEnumValuesAllowed(true);
    line.setUsageHelpAutoWidth(true);
    line.setUsageHelpLongOptionsMaxWidth(30);
    line.registerConverter(CommandLine.IVersionProvider.class, name -> new Version());
    line.registerConverter(UUID.class, AgentCommandLine::migration);
    line.setExitCodeExceptionMapper(AgentCommandLine::exitCode);
    line.setExecutionStrategy(AgentCommandLine::execute);
    line.setParameterExceptionHandler(AgentCommandLine::wrongUsage);
    line.setExecutionExceptionHandler(AgentCommandLine::failed);
    return line;
  }

  private static UUID migration(String text) {
    try {
      return UUID.fromString(text);
    } catch (IllegalArgumentException e) {
      throw new TypeConversionException(
          "'" + text + "' is not the number of a migration; 'status' lists them");
    }
  }

  private static int execute(ParseResult parsed) {
    LoggingOptions logging = loggingOptions(parsed);
    LogOutput.configure(logging == null ? LogOutput.Level.NORMAL : logging.level());
    new CommandLine.RunLast().execute(parsed);
    return exitCodeOfLast(parsed);
  }

  /** picocli turns only Integer results into exit codes by itself. */
  private static int exitCodeOfLast(ParseResult parsed) {
    List<CommandLine> commands = parsed.asCommandLineList();
    Object result = commands.get(commands.size() - 1).getExecutionResult();
    if (result instanceof ExitCode exit) {
      return exit.code();
    }
    return result instanceof Integer code ? code : ExitCode.DONE.code();
  }

  private static int exitCode(Throwable failure) {
    return failure instanceof CommandFailure known ? known.exit().code() : ExitCode.FAILED.code();
  }

  private static int wrongUsage(ParameterException failure, String[] args) {
    CommandLine line = failure.getCommandLine();
    PrintWriter err = line.getErr();
    err.println("pageferry: " + sentence(failure));
    if (!UnmatchedArgumentException.printSuggestions(failure, err)) {
      err.println("Try '" + line.getCommandSpec().qualifiedName() + " --help'.");
    }
    err.flush();
    return ExitCode.USAGE.code();
  }

  private static int failed(Exception failure, CommandLine line, @Nullable ParseResult parsed) {
    PrintWriter err = line.getErr();
    LoggingOptions logging = parsed == null ? null : loggingOptions(parsed);
    err.println("pageferry: " + sentence(failure));
    if (logging != null && logging.verbose()) {
      causes(failure).forEach(err::println);
    }
    err.flush();
    return exitCode(failure);
  }

  /**
   * What the user reads: our own failures speak for themselves, others say at least what they are.
   */
  private static String sentence(Exception failure) {
    String message = failure.getMessage();
    if (failure instanceof CommandFailure || failure instanceof ParameterException) {
      return String.valueOf(message);
    }
    return "an error that should not have happened, "
        + failure.getClass().getSimpleName()
        + (message == null ? "" : ": " + message)
        + " (--verbose shows where)";
  }

  private static List<String> causes(Exception failure) {
    List<String> lines = new ArrayList<>();
    Throwable at = failure instanceof CommandFailure ? failure.getCause() : failure;
    for (int depth = 0; at != null && depth < 16; at = at.getCause(), depth++) {
      lines.add("  because: " + at);
      StackTraceElement[] trace = at.getStackTrace();
      for (int i = 0; i < Math.min(trace.length, 6); i++) {
        lines.add("    at " + trace[i]);
      }
    }
    return lines;
  }

  /** The options of the command that runs, or of one above it. */
  private static @Nullable LoggingOptions loggingOptions(ParseResult parsed) {
    LoggingOptions found = null;
    for (CommandLine line : parsed.asCommandLineList()) {
      for (CommandSpec mixin : line.getCommandSpec().mixins().values()) {
        if (mixin.userObject() instanceof LoggingOptions options) {
          found = found == null || !found.isSet() ? options : found;
          if (options.isSet()) {
            found = options;
          }
        }
      }
    }
    return found;
  }
}
