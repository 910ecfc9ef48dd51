package io.pageferry.agent.launcher;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * The launcher script as it stands in an image: beside a folder of jars. The JDK is a script that
 * writes down how it was called, and ends as the test wants.
 */
@Timeout(180)
class LauncherTest {
  /** Says what it was called with; as an agent it waits for a signal, unless told how to end. */
  private static final String JAVA =
      """
      #!/bin/bash
      here=$(dirname "$0")
      printf '%s\\n' "$*" >>"$here/calls"
      case "$*" in
        *recover*) exit "${RECOVER_EXIT:-0}" ;;
        *sweep*) exit 0 ;;
      esac
      [ -z "$AGENT_EXIT" ] || exit "$AGENT_EXIT"
      trap 'echo INT >>"$here/signals"; exit 130' INT
      trap 'echo TERM >>"$here/signals"; exit 143' TERM
      trap 'echo HUP >>"$here/signals"; exit 129' HUP
      echo $$ >"$here/pid"
      while :; do sleep 0.05; done
      """;

  private static final String UUID_PATTERN = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";

  @TempDir Path folder;
  private Path home = Path.of("unset");
  private Path jdk = Path.of("unset");

  @BeforeEach
  void layOut() throws IOException {
    home = Files.createDirectories(folder.resolve("with a space"));
    Files.copy(
        Path.of("..", "pageferry"), home.resolve("pageferry"), StandardCopyOption.COPY_ATTRIBUTES);
    Files.createDirectories(home.resolve("lib"));
    Files.createFile(home.resolve("lib/b.jar"));
    Files.createFile(home.resolve("lib/a.jar"));
    Files.writeString(home.resolve("VERSION"), "1.2.3\n");
    jdk = jdk("jdk", "25.0.3");
  }

  private Path jdk(String name, String version) throws IOException {
    Path made = folder.resolve(name);
    Path java = Files.createDirectories(made.resolve("bin")).resolve("java");
    Files.writeString(java, JAVA);
    Files.setPosixFilePermissions(java, PosixFilePermissions.fromString("rwxr-xr-x"));
    Files.writeString(made.resolve("release"), "JAVA_VERSION=\"" + version + "\"\n");
    return made;
  }

  private ProcessBuilder launcher(String... args) {
    List<String> command = new ArrayList<>(List.of(home.resolve("pageferry").toString()));
    command.addAll(List.of(args));
    ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile());
    builder.redirectOutput(folder.resolve("out").toFile());
    builder.redirectError(folder.resolve("err").toFile());
    Map<String, String> environment = builder.environment();
    environment.put("JAVA_HOME", jdk.toString());
    environment.put("PATH", "/usr/bin:/bin");
    environment.put("PAGEFERRY_JVM_FOLDER", folder.resolve("jvms").toString());
    environment.keySet().removeAll(List.of("PAGEFERRY_JAVA_OPTS", "JAVA_TOOL_OPTIONS"));
    return builder;
  }

  private int run(ProcessBuilder builder) throws Exception {
    Process process = builder.start();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    return process.exitValue();
  }

  private String read(String name) throws IOException {
    Path file = folder.resolve(name);
    return Files.exists(file) ? Files.readString(file, StandardCharsets.UTF_8) : "";
  }

  private List<String> calls() throws IOException {
    return read("jdk/bin/calls").lines().toList();
  }

  /** The agent's process, once it is ready for signals. */
  private ProcessHandle agent() {
    String pid =
        await()
            .atMost(Duration.ofSeconds(60))
            .until(() -> read("jdk/bin/pid"), text -> text.endsWith("\n"))
            .strip();
    return ProcessHandle.of(Long.parseLong(pid)).orElseThrow();
  }

  private static void signal(String name, long pid) throws Exception {
    assertThat(new ProcessBuilder("kill", "-" + name, "" + pid).start().waitFor()).isZero();
  }

  @Test
  void theClassPathIsEveryJarInAFixedOrderAndTheRestIsPassedOn() throws Exception {
    ProcessBuilder builder = launcher("pki", "issue", "a b", "*");
    builder.environment().put("AGENT_EXIT", "7");
    builder.environment().put("PAGEFERRY_JAVA_OPTS", "-Dx=1 -Dy=2");
    assertThat(run(builder)).isEqualTo(7);
    String lib = home.resolve("lib").toString();
    assertThat(calls()).hasSize(1);
    assertThat(calls().get(0))
        .contains(" -Dx=1 -Dy=2 ")
        .endsWith("-cp " + lib + "/a.jar:" + lib + "/b.jar io.pageferry.agent.pki.Pki issue a b *");
  }

  @Test
  void aSymlinkToItWorks() throws Exception {
    Path link = Files.createSymbolicLink(folder.resolve("link"), home.resolve("pageferry"));
    ProcessBuilder builder = launcher();
    builder.command(link.toString(), "doctor");
    builder.environment().put("AGENT_EXIT", "0");
    assertThat(run(builder)).isZero();
    assertThat(calls().get(0)).contains("/with a space/lib/a.jar");
  }

  @Test
  void withoutArgumentsOrWithHelpItSaysWhatThereIs() throws Exception {
    assertThat(run(launcher())).isZero();
    assertThat(read("out")).contains("demo", "source", "target", "pki", "doctor", "bench", "test");
    assertThat(run(launcher("--version"))).isZero();
    assertThat(read("out")).isEqualTo("pageferry 1.2.3\n");
    assertThat(calls()).isEmpty();
  }

  @Test
  void anUnknownCommandIsAnsweredWithTheNearest() throws Exception {
    assertThat(run(launcher("srouce"))).isEqualTo(2);
    assertThat(read("err")).contains("no command 'srouce'; did you mean 'source'?");
    assertThat(run(launcher("completely-different"))).isEqualTo(2);
    assertThat(read("err")).doesNotContain("did you mean");
  }

  @Test
  void aJdkThatIsTooOldIsPassedOver() throws Exception {
    jdk = jdk("old", "21.0.2");
    Files.createDirectories(folder.resolve("jvms"));
    ProcessBuilder none = launcher("doctor");
    none.environment().put("PATH", pathWithoutJava());
    assertThat(run(none)).isEqualTo(1);
    assertThat(read("err")).contains("no JDK 25 or newer found").contains("install");

    Files.createSymbolicLink(folder.resolve("jvms/fresh"), folder.resolve("jdk"));
    ProcessBuilder found = launcher("doctor");
    found.environment().put("PATH", pathWithoutJava());
    found.environment().put("AGENT_EXIT", "0");
    assertThat(run(found)).isZero();
    assertThat(calls()).hasSize(1);
  }

  private String pathWithoutJava() throws IOException {
    Path bin = Files.createDirectories(folder.resolve("bin"));
    for (String tool : List.of("env", "bash", "readlink", "dirname", "sleep")) {
      Path link = bin.resolve(tool);
      if (!Files.exists(link)) {
        Files.createSymbolicLink(link, Path.of("/usr/bin", tool));
      }
    }
    return bin.toString();
  }

  /** An agent that settled everything ends with a code of its own, so this one did not. */
  @ParameterizedTest
  @ValueSource(strings = {"TERM", "INT", "HUP"})
  void aSignalIsPassedOnOnceAndWhatWasNotSettledIsRecovered(String signal) throws Exception {
    ProcessBuilder builder = launcher("source", "migrate", "--state", "s");
    builder.environment().put("RECOVER_EXIT", "4");
    Process process = builder.start();
    agent();
    signal(signal, process.pid());
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).isEqualTo(4);
    assertThat(read("jdk/bin/signals")).isEqualTo(signal + "\n");
    assertThat(calls()).hasSize(2);
    assertThat(calls().get(1))
        .matches(".* recover --unattended --called-off " + UUID_PATTERN + " --state s");
  }

  @Test
  void aStoppedTargetIsSweptWithoutAWord() throws Exception {
    Process process = launcher("target", "serve", "--state", "s").start();
    agent();
    signal("TERM", process.pid());
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).isEqualTo(143);
    assertThat(calls().get(1)).endsWith("io.pageferry.target.TargetAgent sweep --quiet --state s");
    assertThat(read("err")).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 3, 4, 5})
  void theAgentsOwnExitCodeIsReturned(int exit) throws Exception {
    ProcessBuilder builder = launcher("source", "migrate");
    builder.environment().put("AGENT_EXIT", "" + exit);
    assertThat(run(builder)).isEqualTo(exit);
    assertThat(calls()).hasSize(1);
  }

  @Test
  void aKilledSourceIsRecoveredAndTheRecoveryTellsTheEnd() throws Exception {
    ProcessBuilder builder =
        launcher("source", "migrate", "--guest", "g", "--state", "my state", "--to", "h:1", "-v");
    builder.environment().put("RECOVER_EXIT", "5");
    Process process = builder.start();
    assertThat(agent().destroyForcibly()).isTrue();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).isEqualTo(5);
    assertThat(calls()).hasSize(2);
    assertThat(calls().get(1))
        .matches(
            ".* io.pageferry.source.SourceAgent recover --unattended "
                + UUID_PATTERN
                + " --state my state -v");
    assertThat(read("err"))
        .isEqualTo(
            "pageferry: the source agent was ended by signal 9; settling what it left behind\n");
  }

  @Test
  void aKilledTargetIsSweptAndStillCountsAsKilled() throws Exception {
    Process process = launcher("target", "serve", "--state=s", "--listen", "h:1").start();
    assertThat(agent().destroyForcibly()).isTrue();
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).isEqualTo(137);
    assertThat(calls().get(1)).endsWith("io.pageferry.target.TargetAgent sweep --state=s");
  }

  @Test
  void aCrashIsRecoveredToo() throws Exception {
    ProcessBuilder builder = launcher("source", "migrate");
    builder.environment().put("AGENT_EXIT", "134");
    assertThat(run(builder)).isZero();
    assertThat(calls().get(1)).matches(".* recover --unattended " + UUID_PATTERN);
  }
}
