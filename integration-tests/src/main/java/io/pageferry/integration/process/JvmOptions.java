package io.pageferry.integration.process;

import java.util.ArrayList;
import java.util.List;

/** How Java is started for each program: as the launcher does it; a test compares the two. */
final class JvmOptions {
  /** Where the launcher keeps what the JVM reads besides classes; it tells the demo and bench. */
  private static final String LIB = "pageferry.lib";

  /** What else it tells them, an option a line. */
  private static final String PASSED_ON = "pageferry.passedOn";

  private static final List<String> COMMON =
      List.of("-Xshare:auto", "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC");

  private JvmOptions() {}

  /** The options of a program. */
  static List<String> of(Program program) {
    List<String> options = common();
    options.addAll(
        switch (program) {
          case SOURCE, TARGET ->
              List.of(
                  "-Xms16m",
                  "-Xmx160m",
                  "-XX:MaxDirectMemorySize=8g",
                  "-XX:ReservedCodeCacheSize=48m",
                  "-XX:+CrashOnOutOfMemoryError",
                  "-XX:-CreateCoredumpOnCrash",
                  "-Dio.netty.leakDetection.level=disabled");
          case GUEST -> List.of("-Xmx48m");
          case PKI, DOCTOR -> List.of("-Xmx64m", "-XX:TieredStopAtLevel=1");
          case DEMO -> List.of("-Xmx96m");
          case BENCH -> List.of("-Xmx512m", "-XX:MaxDirectMemorySize=512m");
        });
    String lib = System.getProperty(LIB);
    if (lib != null && (program == Program.SOURCE || program == Program.TARGET)) {
      options.add("-XX:+UnlockDiagnosticVMOptions");
      options.add("-XX:-DisplayVMOutput");
      options.add("-XX:CompilerDirectivesFile=" + lib + "/compiler-directives.json");
    }
    if (program == Program.DEMO || program == Program.BENCH) {
      // These start programs by themselves, which are to run as if the launcher had started them.
      handOn(LIB, options);
      handOn(PASSED_ON, options);
    }
    return options;
  }

  private static void handOn(String property, List<String> options) {
    String value = System.getProperty(property);
    if (value != null) {
      options.add("-D" + property + "=" + value);
    }
  }

  /**
   * The options of every program, and those that the launcher gave this process to pass on, the
   * archive of loaded classes above all: programs that are started from here start as fast as those
   * that are started by the launcher.
   */
  static List<String> common() {
    List<String> options = new ArrayList<>();
    String lib = System.getProperty(LIB);
    if (lib != null) {
      options.add("-Djava.library.path=" + lib);
    }
    options.addAll(COMMON);
    String passedOn = System.getProperty(PASSED_ON, "");
    options.addAll(passedOn.lines().toList());
    return options;
  }
}
