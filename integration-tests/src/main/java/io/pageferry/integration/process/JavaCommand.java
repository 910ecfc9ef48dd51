package io.pageferry.integration.process;

import java.io.File;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The command line that starts one of Pageferry's programs with the Java and the class path of this
 * process, or with the class path that the launcher told a test run. It leaves out the launcher
 * script only: the arguments are those that a user would write after {@code ./pageferry}.
 */
public final class JavaCommand {
  /** The jars of the launcher's build, where they are not this process's class path already. */
  private static final String CLASS_PATH = "pageferry.classPath";

  private JavaCommand() {}

  /**
   * A program's command line.
   *
   * @param program what to start
   * @param arguments its arguments
   * @return the command, {@code java} first
   */
  public static List<String> of(Program program, List<String> arguments) {
    return command(
        System.getProperty(CLASS_PATH, classPath()),
        program.mainClass(),
        JvmOptions.of(program),
        arguments);
  }

  /**
   * The command line of any main class on this process's class path.
   *
   * @param mainClass its name
   * @param arguments its arguments
   * @return the command, {@code java} first
   */
  public static List<String> of(String mainClass, List<String> arguments) {
    return command(classPath(), mainClass, JvmOptions.common(), arguments);
  }

  private static List<String> command(
      String classPath, String mainClass, List<String> jvmOptions, List<String> arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(jvmOptions);
    command.add("-cp");
    command.add(classPath);
    command.add(mainClass);
    command.addAll(arguments);
    return command;
  }

  /**
   * This process's class path with absolute entries, so that a child may be started in any folder.
   */
  static String classPath() {
    return Stream.of(System.getProperty("java.class.path", "").split(File.pathSeparator))
        .filter(entry -> !entry.isEmpty())
        .map(entry -> Path.of(entry).toAbsolutePath().toString())
        .collect(Collectors.joining(File.pathSeparator));
  }
}
