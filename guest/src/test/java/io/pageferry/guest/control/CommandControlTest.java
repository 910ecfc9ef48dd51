package io.pageferry.guest.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.handover.HandoverMode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What becomes of a user's commands: their ends, their words, their time. */
@Timeout(120)
final class CommandControlTest {
  private static final String[] KEYS = {
    "pause", "resume", "status", "save-state", "load-state", "quit"
  };

  /** Notes the file that it has for its complaints. */
  private static final String WHERE = "readlink /proc/$$/fd/2 > where; ";

  @TempDir private Path folder;

  /** A place whose commands do nothing but for this one, a line for the shell. */
  private GuestPlace place(String key, String line, String timeout) throws IOException {
    StringBuilder text = new StringBuilder("name: web\nmemory: [{path: ram}]\ncontrol:\n");
    text.append("  timeout: ").append(timeout).append("\n  commands:\n");
    for (String each : KEYS) {
      text.append("    ").append(each).append(": ");
      text.append(
          each.equals(key) ? "[sh, -c, '" + WHERE + line.replace("'", "''") + "']" : "['true']");
      text.append('\n');
    }
    Path file = Files.writeString(folder.resolve("web.yaml"), text);
    return GuestPlace.of(GuestDescription.load(file), Map.of("MORE", "mark"));
  }

  private GuestControl control(String key, String line) throws IOException {
    return place(key, line, "20s").connect();
  }

  /** What the command had for its output is gone, with the folder. */
  private void assertTidy() throws IOException {
    String complaints = Files.readString(folder.resolve("where")).strip();
    Path scratch = Path.of(complaints.substring(0, complaints.lastIndexOf('/')));
    assertThat(scratch.toString()).contains("/pageferry-agent-");
    assertThat(scratch).doesNotExist();
  }

  @ParameterizedTest
  @CsvSource({
    "echo running,                     true,  false",
    "echo Running,                     true,  false",
    "echo; echo a; echo ' paused '; echo, false, false",
    "printf waiting,                   false, true",
  })
  void theLastLineOfStatusSaysWhatItDoes(String line, boolean running, boolean waiting)
      throws Exception {
    try (GuestControl control = control("status", line)) {
      assertThat(control.status().running()).isEqualTo(running);
      assertThat(control.status().awaitsDeviceState()).isEqualTo(waiting);
      assertThat(control.gone()).isFalse();
    }
  }

  @Test
  void aGuestThatHasEndedIsGone() throws Exception {
    GuestPlace place = place("status", "echo ended", "20s");
    assertThat(place.isTaken()).isFalse();
    assertThat(place.isDeserted()).isTrue();
    try (GuestControl control = place.connect()) {
      assertThatThrownBy(control::status)
          .hasMessage("guest 'web' has ended, says its command 'status'");
      assertThat(control.gone()).isTrue();
    }
  }

  @Test
  void anotherWordIsNone() throws Exception {
    GuestPlace place = place("status", "echo fine", "20s");
    assertThatThrownBy(place::isTaken)
        .hasMessage(
            "the command 'status' of guest 'web' said \"fine\", and not running, paused, waiting or"
                + " ended");
    assertThat(place.isDeserted()).isFalse();
  }

  @Test
  void aFailureIsToldInItsOwnLastWords() throws Exception {
    try (GuestControl control =
        control("pause", "echo before >&2; printf 'the brake\\033 is off\\n\\n' >&2; exit 7")) {
      assertThatThrownBy(control::pause)
          .isInstanceOf(GuestRefusedException.class)
          .hasMessage(
              "the command 'pause' of guest 'web' ended with exit code 7: \"the brake  is off\"");
    }
  }

  @Test
  void itKnowsWhoseItIsAndRunsInTheFolderOfTheDescription() throws Exception {
    try (GuestControl control =
        control("resume", "echo $PAGEFERRY_GUEST $PAGEFERRY_COMMAND $MORE $(pwd) > said")) {
      control.resume();
    }
    assertThat(folder.resolve("said")).content().isEqualTo("web resume mark " + folder + "\n");
  }

  @ParameterizedTest
  @ValueSource(strings = {"printf abc > {state}", "printf abc"})
  void theStateIsAFileOrStandardOutput(String line) throws Exception {
    try (GuestControl control = control("save-state", line)) {
      assertThat(control.saveDeviceState()).asString(StandardCharsets.US_ASCII).isEqualTo("abc");
      assertThat(control.saveDeviceState()).hasSize(3);
    }
    assertTidy();
  }

  @ParameterizedTest
  @ValueSource(strings = {"cp {state} loaded", "cat > loaded"})
  void itIsLoadedFromAFileOrStandardInput(String line) throws Exception {
    byte[] state = "any bytes\0\n".getBytes(StandardCharsets.US_ASCII);
    try (GuestControl control = control("load-state", line)) {
      control.loadDeviceState(state);
    }
    assertThat(folder.resolve("loaded")).hasBinaryContent(state);
    assertTidy();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          true|wrote no device state: it is to go to standard output
          true {state}|wrote no device state: it is to go to the file {state}
          mkdir {state}; touch {state}/a|wrote no device state: it is to go to the file {state}
          truncate -s 40M {state}|wrote 40 MiB, and a device state has at most 32: leave the memory out of it
          """)
  void whatIsNoDeviceStateIsRefused(String line, String sentence) throws Exception {
    try (GuestControl control = control("save-state", line)) {
      assertThatThrownBy(control::saveDeviceState)
          .hasMessage("the command 'save-state' of guest 'web' " + sentence);
    }
    assertTidy();
  }

  /** Also one that ignores being asked, and what it has started. */
  @Test
  void whoTakesTooLongIsKilledWithItsChildren() throws Exception {
    try (GuestControl control =
        place(
                "pause",
                "trap : TERM HUP INT; sleep 300 & echo $! > child; (sleep 300); sleep 300",
                "5s")
            .connect()) {
      assertThatThrownBy(control::pause)
          .hasMessage(
              "the command 'pause' of guest 'web' did not end within 5000 ms and was killed");
    }
    long child = Long.parseLong(Files.readString(folder.resolve("child")).strip());
    // Whoever has adopted it may take a moment to notice.
    await()
        .atMost(Duration.ofSeconds(30))
        .until(() -> ProcessHandle.of(child).filter(ProcessHandle::isAlive).isEmpty());
    assertTidy();
  }

  @Test
  void whatItLeavesRunningDelaysNobody() throws Exception {
    try (GuestControl control = control("status", "sleep 300 & echo $! > child; echo paused")) {
      assertThat(control.status().name()).isEqualTo("paused");
    }
    long child = Long.parseLong(Files.readString(folder.resolve("child")).strip());
    assertThat(ProcessHandle.of(child).map(ProcessHandle::destroyForcibly)).contains(true);
  }

  @Test
  void closingEndsACommandThatSomebodyWaitsFor() throws Exception {
    GuestControl control = control("load-state", "touch begun; sleep 300");
    CompletableFuture<Void> load =
        CompletableFuture.runAsync(
            () -> {
              try {
                control.loadDeviceState(new byte[3]);
              } catch (GuestControlException e) {
                throw new IllegalStateException(e);
              }
            });
    while (Files.notExists(folder.resolve("begun"))) {
      Thread.sleep(5);
    }
    control.close();
    assertThatThrownBy(() -> load.get(60, TimeUnit.SECONDS))
        .isInstanceOf(ExecutionException.class)
        .hasMessageContaining("ended with exit code 137");
    assertThatThrownBy(control::status).hasMessage("the control of guest 'web' was closed");
    assertTidy();
  }

  /** A driver that is cancelled must still be able to resume its guest. */
  @Test
  void anInterruptCutsNothingShort() throws Exception {
    try (GuestControl control = control("resume", "sleep 0.2; touch done")) {
      Thread.currentThread().interrupt();
      control.resume();
      assertThat(Thread.interrupted()).isTrue();
    }
    assertThat(folder.resolve("done")).exists();
  }

  @Test
  void itHandsNothingOver() throws Exception {
    try (GuestControl control = control("pause", "true")) {
      assertThatThrownBy(() -> control.requestHandover(folder, HandoverMode.MISSING))
          .isInstanceOfSatisfying(
              GuestRefusedException.class, e -> assertThat(e.commandUnknown()).isTrue());
    }
  }

  @Test
  void whatItCannotDoIsKnownBeforehand() throws Exception {
    GuestPlace able = place("pause", "true", "1s");
    assertThat(able.objectionToSend(true)).isEmpty();
    assertThat(able.objectionToReceive()).isEmpty();

    Path file = folder.resolve("web.yaml");
    String text = Files.readString(file);
    Files.writeString(
        file, text.replace("save-state: ['true']", "save-state: [./no-such-program, x]"));
    assertThat(GuestPlace.of(GuestDescription.load(file)).objectionToSend(true))
        .contains(
            "its command 'save-state' cannot be run, because %s is no program here"
                .formatted(folder.resolve("no-such-program")));

    Files.writeString(file, text.replaceAll("    (save-state|load-state|quit): .*\n", ""));
    GuestPlace poor = GuestPlace.of(GuestDescription.load(file));
    assertThat(poor.objectionToSend(true).orElseThrow()).contains("no command 'save-state'");
    assertThat(poor.objectionToReceive().orElseThrow()).contains("no command 'load-state'");

    Files.writeString(file, text.replaceAll("    quit: .*\n", ""));
    GuestPlace lasting = GuestPlace.of(GuestDescription.load(file));
    assertThat(lasting.objectionToSend(true).orElseThrow()).contains("afterwards: keep");
    assertThat(lasting.objectionToSend(false)).isEmpty();
  }
}
