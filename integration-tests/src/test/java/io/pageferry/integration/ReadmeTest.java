package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.JavaCommand;
import io.pageferry.integration.process.NetworkLink;
import io.pageferry.integration.process.Program;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * The commands of README from certificates to the drill of a broken link, and those of the way
 * back, as they stand there, on two hosts that are network namespaces. What differs: folders, the
 * other host's name, and the size of the guest.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(value = 240, unit = TimeUnit.SECONDS)
final class ReadmeTest {
  private static final int RECOVERABLE = 5;
  private static final String MEMORY = "384M";
  private static final Pattern BLOCK = Pattern.compile("(?ms)^```\\w*\\n(.*?)^```$");

  /** One of README's two hosts: its folders, and who runs its commands. */
  private static final class Host {
    private final Workplace workplace;
    private final String name;
    private final String namespace;
    private final Path folder;
    private final Path images;

    private Host(Workplace workplace, String name, String namespace) throws IOException {
      this.workplace = workplace;
      this.name = name;
      this.namespace = namespace;
      this.folder = workplace.subfolder("readme-" + name);
      this.images = workplace.imageSubfolder("readme-" + name);
      Files.createDirectories(folder.resolve("etc/guests"));
      Path launcher = Files.writeString(folder.resolve("pageferry"), launcher());
      Files.setPosixFilePermissions(launcher, PosixFilePermissions.fromString("rwx------"));
    }

    /** What is asked of {@code ./pageferry}, by the classes that are being tested. */
    private static String launcher() {
      String programs =
          Stream.of(Program.GUEST, Program.SOURCE, Program.TARGET, Program.PKI)
              .map(
                  program ->
                      "  %s) exec %s \"$@\" ;;%n"
                          .formatted(
                              program.word(),
                              JavaCommand.of(program, List.of()).stream()
                                  .map(word -> "'" + word + "'")
                                  .collect(Collectors.joining(" "))))
              .collect(Collectors.joining());
      return "#!/bin/sh\nword=$1; shift\ncase $word in\n" + programs + "esac\nexit 2\n";
    }

    /** README's text as it is on this host. */
    private String here(String text) {
      return text.replace("/opt/pageferry/pageferry", folder.resolve("pageferry").toString())
          .replace("/etc/pageferry", folder.resolve("etc").toString())
          .replace("/dev/shm", images.toString())
          .replace("/run/", folder + "/run/")
          .replace("hosta:", "10.213.0.1:")
          .replace("hostb:", "10.213.0.2:")
          .replace("512M", MEMORY);
    }

    private void write(String file, String text) throws IOException {
      Files.writeString(folder.resolve("etc").resolve(file), here(text));
    }

    private RunningProcess start(String commands) throws IOException {
      return workplace.start(
          "%s on %s".formatted(commands.strip().lines().findFirst().orElseThrow(), name),
          List.of(
              "ip",
              "netns",
              "exec",
              namespace,
              "sh",
              "-ec",
              "cd " + folder + "\n" + here(commands)),
          Terminal.DETACHED,
          Map.of("PAGEFERRY_STATE", folder.resolve("state").toString()));
    }

    /** Runs commands to their end and returns what they wrote. */
    private String run(String commands) throws Exception {
      RunningProcess process = start(commands);
      assertThat(process.awaitExit(Journey.LIMIT)).describedAs(process.state()).isZero();
      return process.transcript().text();
    }

    /** Commands of which the last goes on. */
    private RunningProcess serve(String commands) throws IOException {
      return start(commands.replace("./pageferry", "exec ./pageferry"));
    }

    private void take(Path pki, String... files) throws IOException {
      Path into = Files.createDirectories(folder.resolve("etc/pki"));
      for (String file : files) {
        Files.copy(pki.resolve(file), into.resolve(file), StandardCopyOption.COPY_ATTRIBUTES);
      }
    }
  }

  /** The first block that has this text. */
  private static String block(String text) throws IOException {
    return BLOCK
        .matcher(Files.readString(Path.of("..", "README.md")))
        .results()
        .map(found -> found.group(1))
        .filter(block -> block.contains(text))
        .findFirst()
        .orElseThrow(() -> new AssertionError("README has no block with " + text));
  }

  /** Commands, each with what is said about it in the comments before, where it is to be run. */
  private static List<MatchResult> commands(String block) {
    return Pattern.compile("(?m)((?:^#.*\\n)*)^([^#\\n](?:[^\\n]*\\\\\\n)*[^\\n]*)\\n")
        .matcher(block)
        .results()
        .toList();
  }

  @Test
  void theDrillOfABrokenLinkAndTheWayBack(Hosts hosts) throws Exception {
    Workplace workplace = hosts.workplace();
    try (NetworkLink link = NetworkLink.create()) {
      Host a = new Host(workplace, "a", link.sourceNamespace());
      Host b = new Host(workplace, "b", link.targetNamespace());
      a.run(block("pki init"));
      Path pki = a.folder.resolve("pki");
      a.take(pki, "ca.crt", "crl.pem", "alpha.crt", "alpha.key");
      b.take(pki, "ca.crt", "crl.pem", "beta.crt", "beta.key");

      RunningProcess guest = a.serve(block("./pageferry guest --image"));
      a.write("web.yaml", block("afterwards: quit"));
      b.write("guests/web.yaml", block("- --incoming"));
      RunningProcess target = b.serve(block("target serve --listen"));
      guest.awaitLine("the guest", line -> line.contains("ready"), Journey.LIMIT);
      target.awaitLine("listening", line -> line.contains("listening on"), Journey.LIMIT);

      List<MatchResult> drill = commands(block("iptables -I OUTPUT"));
      assertThat(drill).hasSize(6);
      RunningProcess migration = a.start(drill.get(0).group(2));
      migration.awaitLine("post-copy", Journey.SERVING, Journey.LIMIT);
      a.run(drill.get(1).group(2));
      assertThat(migration.awaitExit(Journey.LIMIT))
          .describedAs(migration.state() + target.state())
          .isEqualTo(RECOVERABLE);
      assertThat(migration.transcript().text())
          .contains("pageferry: the target is lost (", "continue with 'pageferry source recover");
      assertThat(a.run(drill.get(2).group(2))).contains("paused", "SERVING");
      assertThat(drill.get(3).group()).contains("on B");
      assertThat(b.run(drill.get(3).group(2))).contains("paused, source lost", "to come");
      a.run(drill.get(4).group(2));
      a.run(drill.get(5).group(2));

      DemoGuest there =
          DemoGuest.answeringAt(
              b.folder.resolve("run/web/qmp.sock"), DemoGuestSpec.uniform("web", MEMORY, "0"));
      JsonNode verification = there.verify();
      assertThat(verification.path("faultsFound").asLong()).describedAs(target.state()).isZero();
      assertThat(verification.path("running").asBoolean()).isTrue();
      assertThat(guest.awaitExit(Journey.LIMIT)).describedAs(guest.state()).isZero();
      comesBack(a, b);
      target.close();
    }
  }

  /** To the copy that {@code source recover} has left on A. */
  private static void comesBack(Host a, Host b) throws Exception {
    List<MatchResult> back = commands(block("hosta:7420"));
    assertThat(back).hasSize(3);
    a.write("guests/web.yaml", block("- --incoming"));
    RunningProcess target = a.serve(back.get(0).group(2));
    target.awaitLine("listening", line -> line.contains("listening on"), Journey.LIMIT);
    assertThat(a.run(back.get(1).group(2))).contains("copy of guest 'web'", "shared with 'beta'");
    assertThat(back.get(2).group()).contains("on B");
    // How fast this link is decides otherwise.
    b.run(back.get(2).group(2).replace("--json", "--warm on --json"));
    JsonNode report = new ObjectMapper().readTree(b.folder.resolve("report.json").toFile());
    assertThat(report.path("pages").path("known").asLong())
        .describedAs(target.state())
        .isPositive();
    DemoGuest here =
        DemoGuest.answeringAt(
            a.folder.resolve("run/web/qmp.sock"), DemoGuestSpec.uniform("web", MEMORY, "0"));
    assertThat(here.verify().path("faultsFound").asLong()).describedAs(target.state()).isZero();
    here.quit();
    target.close();
  }
}
