package io.pageferry.integration.process;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/** How Java is started for each program: as the launcher does it; a test compares the two. */
final class JvmOptions {
  /** Where the launcher keeps what the JVM reads besides classes; it tells the demo and bench. */
  private static final String LIB = "pageferry.lib";

  /** The folder of what programs start from, {@code source.aot} for the source agent. */
  private static final String CACHES = "pageferry.caches";

  /** The folder where they write down what such a cache is made of. */
  private static final String REHEARSAL = "pageferry.rehearsal";

  /** More options of every program, one a line. */
  private static final String PASSED_ON = "pageferry.passedOn";

  /** A cache that the JVM does not like is passed over without a word. */
  private static final List<String> QUIETLY =
      List.of("-Xlog:disable", "-Xlog:all=error,cds*=off,aot*=off:stderr");

  private static final AtomicInteger REHEARSED = new AtomicInteger();

  private static final List<String> COMMON =
      List.of("--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC");

  private JvmOptions() {}

  /** The options of a program. */
  static List<String> of(Program program) {
    List<String> options = common(program);
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
                  "-Dio.netty.leakDetection.level=disabled",
                  "-Dio.netty.jfr.enabled=false");
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
      handOn(CACHES, options);
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

  /** The options of a main class that is no program. */
  static List<String> common() {
    return common(Program.DEMO);
  }

  private static List<String> common(Program program) {
    List<String> options = new ArrayList<>();
    String lib = System.getProperty(LIB);
    if (lib != null) {
      options.add("-Djava.library.path=" + lib);
    }
    options.addAll(COMMON);
    addCache(program, options);
    options.addAll(System.getProperty(PASSED_ON, "").lines().toList());
    return options;
  }

  /** Programs that are started from here start as fast as those that the launcher starts. */
  private static void addCache(Program program, List<String> options) {
    String rehearsal = System.getProperty(REHEARSAL);
    if (rehearsal != null) {
      String file = "%s.%d.conf".formatted(program.word(), REHEARSED.incrementAndGet());
      options.add("-XX:AOTMode=record");
      options.add("-XX:AOTConfiguration=" + Path.of(rehearsal, file));
      options.addAll(QUIETLY);
      return;
    }
    String caches = System.getProperty(CACHES, "");
    if (caches.isEmpty()) {
      return;
    }
    for (Program learned : List.of(program, Program.DEMO)) {
      Path cache = Path.of(caches, learned.word() + ".aot");
      if (Files.exists(cache)) {
        options.add("-XX:AOTCache=" + cache);
        options.addAll(QUIETLY);
        return;
      }
    }
  }
}
