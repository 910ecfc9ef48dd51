package io.pageferry.guest.description;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pageferry.guest.image.GuestImage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class GuestDescriptionTest {
  private static final String FULL =
      """
      name: demo
      memory:
        - name: ram
          path: /dev/shm/x/ram
          size: 512M
        - path: high/ram
      control: { qmp: run/qmp.sock, timeout: 300ms }
      tracking: digest
      launch: [ "./pageferry", guest, --incoming, "7" ]
      log: demo.log
      afterwards: keep
      attach: never
      """;

  @TempDir private Path folder;

  private Path write(String text) throws IOException {
    return Files.writeString(folder.resolve("demo.yaml"), text);
  }

  @Test
  void memoryWithoutAPathIsInTheGuestsProcess() throws IOException {
    GuestDescription guest =
        GuestDescription.load(
            write(
                """
                name: fc
                memory:
                  - {name: ram, size: 256M}
                  - size: 4K
                control: {qmp: q}
                handover: run/uffd.sock
                """));

    assertThat(guest.anonymousMemory()).isTrue();
    assertThat(guest.handover()).contains(folder.resolve("run/uffd.sock"));
    assertThat(guest.memory())
        .containsExactly(
            new MemoryDescription("ram", Optional.empty(), OptionalLong.of(256L << 20)),
            new MemoryDescription("region1", Optional.empty(), OptionalLong.of(4096)));
    assertThatThrownBy(() -> GuestImage.openExisting(guest))
        .hasMessage(
            "memory region ram is in no file: such a guest can only be received, and by post-copy");
  }

  @Test
  void everyKeyIsReadAndPathsAreOfTheFilesFolder() throws IOException {
    GuestDescription guest = GuestDescription.load(write(FULL));

    assertThat(guest.name()).isEqualTo("demo");
    assertThat(guest.folder()).isEqualTo(folder);
    assertThat(guest.memory())
        .containsExactly(
            new MemoryDescription("ram", Path.of("/dev/shm/x/ram"), OptionalLong.of(512L << 20)),
            new MemoryDescription("region1", folder.resolve("high/ram"), OptionalLong.empty()));
    assertThat(guest.control())
        .isEqualTo(
            new ControlDescription.Qmp(folder.resolve("run/qmp.sock"), Duration.ofMillis(300)));
    assertThat(guest.tracking()).isEqualTo(Tracking.DIGEST);
    assertThat(guest.attach()).isEqualTo(Attaching.NEVER);
    assertThat(guest.handover()).isEmpty();
    assertThat(guest.anonymousMemory()).isFalse();
    assertThat(guest.launch())
        .containsExactly(folder.resolve("pageferry").toString(), "guest", "--incoming", "7");
    assertThat(guest.log()).contains(folder.resolve("demo.log"));
    assertThat(guest.afterwards()).isEqualTo(Afterwards.KEEP);
  }

  private static final String COMMANDS =
      """
      name: demo
      memory: [ { path: ram } ]
      control:
        commands:
          pause: [ ./steer, pause ]
          resume: [ ./steer, resume ]
          status: [ ./steer, status ]
          save-state: [ steer, save, "{state}" ]
          load-state: [ steer, load ]
          quit: [ /bin/kill, "7" ]
          timeout: 2s
      """;

  @Test
  void aGuestIsControlledByCommands() throws IOException {
    String steer = folder.resolve("steer").toString();
    assertThat(GuestDescription.load(write(COMMANDS)).control())
        .isEqualTo(
            new ControlDescription.Commands(
                List.of(steer, "pause"),
                List.of(steer, "resume"),
                List.of(steer, "status"),
                List.of("steer", "save", "{state}"),
                List.of("steer", "load"),
                List.of("/bin/kill", "7"),
                Duration.ofSeconds(2)));
  }

  @Test
  void someOfItsCommandsNeedNotBeThere() throws IOException {
    String text = COMMANDS.replaceAll("    (save-state|load-state|quit|timeout): .*\n", "");
    ControlDescription.Commands control =
        (ControlDescription.Commands) GuestDescription.load(write(text)).control();
    assertThat(control.saveState()).isEmpty();
    assertThat(control.loadState()).isEmpty();
    assertThat(control.quit()).isEmpty();
    assertThat(control.timeout()).isEqualTo(Duration.ofSeconds(30));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          pause: [ ./steer, pause ]|puase: [ ./steer ]|5|a control by commands has no 'puase'; did you mean 'pause'?
          resume: [ ./steer, resume ]|resume: ./steer resume|6|'resume' is a list, the program and then each argument, not './steer resume'
          quit: [ /bin/kill, "7" ]|quit: []|10|'quit' has 1 to 1024 words, not 0
          quit: [ /bin/kill, "7" ]|quit: [ "" ]|10|'quit' names no program
          timeout: 2s|timeout: 2h|11|a timeout is 10ms to 1h, not 2h
          control:|control:\\n  timeout: 1s|12|'timeout' is said for the control already
          control:|control:\\n  qmp: q|6|a guest is controlled by 'qmp' or by 'commands', not by both
          """)
  void whatItsCommandsCannotSayIsRefused(String right, String wrong, int line, String sentence)
      throws IOException {
    assertThat(COMMANDS).contains(right);
    Path file = write(COMMANDS.replace(right, wrong.replace("\\n", "\n")));
    assertThatThrownBy(() -> GuestDescription.load(file))
        .hasMessage(file + ":" + line + ": " + sentence);
  }

  @Test
  void pauseResumeAndStatusAreNeeded() {
    for (String key : List.of("pause", "resume", "status")) {
      assertThatThrownBy(
              () -> GuestDescription.load(write(COMMANDS.replaceAll("    " + key + ": .*\n", ""))))
          .hasMessageContaining("the control by commands lacks '" + key + "'");
    }
  }

  @Test
  void whatIsNotSaidHasADefault() throws IOException {
    GuestDescription guest =
        GuestDescription.load(
            write("name: a\nmemory: [{path: ram}]\ncontrol: {qmp: q}\nlaunch: [java, -x]\n"));

    assertThat(guest.control().timeout()).isEqualTo(Duration.ofSeconds(5));
    assertThat(guest.tracking()).isEqualTo(Tracking.AUTO);
    assertThat(guest.attach()).isEqualTo(Attaching.AUTO);
    assertThat(guest.launch()).containsExactly("java", "-x");
    assertThat(guest.log()).isEmpty();
    assertThat(guest.afterwards()).isEqualTo(Afterwards.QUIT);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          name: demo|nmae: demo|1|a guest has no 'nmae'; did you mean 'name'?
          path: /dev/shm/x/ram|pahts: /dev/shm/x/ram|4|a memory region has no 'pahts'; did you mean 'path'?
          tracking: digest|colour: red|8|a guest has no 'colour'; it has name, memory, control, tracking, attach, handover, launch, log, afterwards
          timeout: 300ms|timout: 5s|7|a control has no 'timout'; did you mean 'timeout'?
          tracking: digest|tracking: magic|8|'tracking' is one of auto, handover, digest, not 'magic'
          tracking: digest|tracking: [digest]|8|'tracking' is a single value, not a list
          size: 512M|size: 512X|5|'512X' is not a size; write it like 512M, 2GiB or 4096
          size: 512M|size: 5000|5|size 5000 is 5000 bytes, which is not a positive multiple of the page size 4096
          size: 512M|size: 0|5|size 0 is 0 bytes, which is not a positive multiple of the page size 4096
          size: 512M|size:|5|'size' is a single value, not nothing
          name: ram|name: region1|6|two memory regions are called 'region1'
          path: high/ram|path: /dev/shm/../shm/x/ram|6|two memory regions have the path /dev/shm/x/ram
          name: demo|name: ../evil|1|the name of a guest is 1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit; '../evil' is not
          name: demo|name: _demo|1|the name of a guest is 1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit; '_demo' is not
          name: demo|name: [a]|1|'name' is a single value, not a list
          timeout: 300ms|timeout: 300|7|'300' has no unit; write it like 300ms, 5s or 2min
          timeout: 300ms|timeout: 2h|7|a timeout is 10ms to 1h, not 2h
          qmp: run/qmp.sock, timeout: 300ms|timeout: 5s|7|the control lacks 'qmp' or 'commands'
          control: { qmp: run/qmp.sock, timeout: 300ms }|control: run/qmp.sock|7|'control' is a mapping with the key qmp or commands, not 'run/qmp.sock'
          afterwards: keep|afterwards: burn|11|'afterwards' is one of quit, keep, not 'burn'
          launch: [ "./pageferry", guest, --incoming, "7" ]|launch: ./pageferry guest|9|'launch' is a list, the program and then each argument, not './pageferry guest'
          launch: [ "./pageferry", guest, --incoming, "7" ]|launch: []|9|'launch' has 1 to 1024 words, not 0
          log: demo.log|name: again|10|'name' is said twice
          log: demo.log|log: *anchor|10|aliases (*name) are not supported
          """)
  void whatADescriptionCannotSayIsRefusedWithItsLine(
      String right, String wrong, int line, String sentence) throws IOException {
    assertThat(FULL).contains(right);
    Path file = write(FULL.replace(right, wrong));

    DescriptionException thrown =
        catchThrowableOfType(DescriptionException.class, () -> GuestDescription.load(file));

    assertThat(thrown).hasMessage(file + ":" + line + ": " + sentence);
    assertThat(thrown.line()).isEqualTo(line);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          ''|the file is empty
          - a|a guest description is a mapping that begins with 'name:', not a list
          hello|a guest description is a mapping that begins with 'name:', not 'hello'
          name: a|the guest lacks 'memory'
          {name: a, memory: [], control: {qmp: q}}|a guest has 1 to 64 memory regions, not 0
          {name: a, memory: ram, control: {qmp: q}}|'memory' is a list of regions, each with a path, not 'ram'
          {name: a, memory: [ram], control: {qmp: q}}|a memory region is a mapping with a path, not 'ram'
          {name: a, memory: [{name: r}], control: {qmp: q}}|the memory region lacks 'path', or 'size' if its memory is in the guest's process only
          {name: a, memory: [{size: 4K}], control: {qmp: q}}|memory region 'region0' has no path, so its memory is in the guest's process only: say with 'handover: PATH' at which socket the guest hands it over
          {name: a, memory: [{size: 4K}, {path: x}], control: {qmp: q}, handover: h}|either every memory region has a path or none has, but 'region1' has one and 'region0' has none
          {name: a, memory: [{path: x}], control: {commands: []}}|'commands' is a mapping with pause, resume, status and more, not a list
          {name: a, memory: [{path: x}, {size: 4K}], control: {qmp: q}, handover: h}|either every memory region has a path or none has, but 'region0' has one and 'region1' has none
          {name: a, memory: [{size: 4K}], control: {qmp: q}, handover: h, tracking: digest}|'tracking' is for a guest that is moved away, and memory without a path can only be received
          """)
  void whatIsNoDescriptionIsRefused(String text, String sentence) throws IOException {
    Path file = write(text);
    assertThatThrownBy(() -> GuestDescription.load(file))
        .isInstanceOf(DescriptionException.class)
        .hasMessageEndingWith(": " + sentence);
  }

  @Test
  void brokenYamlIsNamedWithItsLine() throws IOException {
    Path file = write("name: a\nmemory: [\n  {path: x\ncontrol: {qmp: q}\n");
    assertThatThrownBy(() -> GuestDescription.load(file))
        .isInstanceOf(DescriptionException.class)
        .hasMessageMatching(".*demo\\.yaml:\\d+: not YAML: expected .*, but got .*");
  }

  @Test
  void aSecondDocumentIsRefused() throws IOException {
    Path file = write(FULL + "---\nname: other\n");
    assertThatThrownBy(() -> GuestDescription.load(file))
        .hasMessageContaining("a second YAML document begins");
  }

  @Test
  void aTagMakesNoObject() throws IOException {
    Path file = write(FULL.replace("log: demo.log", "log: !!javax.script.ScriptEngineManager []"));
    assertThatThrownBy(() -> GuestDescription.load(file))
        .hasMessageContaining("'log' is a single value, not a list");
  }

  @Test
  void aSocketPathThatNoAddressHoldsIsRefused() throws IOException {
    Path file = write(FULL.replace("run/qmp.sock", "/" + "q".repeat(107)));
    assertThatThrownBy(() -> GuestDescription.load(file))
        .hasMessageContaining("the path of a Unix socket has at most 107 bytes")
        .hasMessageEndingWith("has 108");
  }

  @Test
  void aFileThatIsNotThereOrTooLargeOrNoTextIsNamed() throws IOException {
    Path missing = folder.resolve("none.yaml");
    assertThatThrownBy(() -> GuestDescription.load(missing))
        .hasMessage(missing + ": there is no such file");
    Path large = write("#".repeat(YamlFile.MAX_BYTES + 1));
    assertThatThrownBy(() -> GuestDescription.load(large))
        .hasMessageContaining("larger than 1 MiB");
    Path binary = Files.write(folder.resolve("b.yaml"), new byte[] {(byte) 0xFF, (byte) 0xFE, 1});
    assertThatThrownBy(() -> GuestDescription.load(binary)).hasMessageEndingWith("not UTF-8 text");
  }

  @Test
  void deepNestingEndsInASentence() throws IOException {
    Path file = write("name: " + "[".repeat(5000));
    assertThatThrownBy(() -> GuestDescription.load(file)).isInstanceOf(DescriptionException.class);
  }

  @Test
  void damagedFilesNeverEndInAnythingButASentence() throws IOException {
    Random random = new Random(7);
    byte[] good = FULL.getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < 2000; i++) {
      byte[] bad = good.clone();
      for (int j = random.nextInt(4); j >= 0; j--) {
        bad[random.nextInt(bad.length)] = (byte) random.nextInt(128);
      }
      Path file = Files.write(folder.resolve("demo.yaml"), bad);
      try {
        assertThat(GuestDescription.load(file).memory()).isNotEmpty();
      } catch (DescriptionException e) {
        assertThat(e).hasMessageStartingWith(file.toString());
      }
    }
  }
}
