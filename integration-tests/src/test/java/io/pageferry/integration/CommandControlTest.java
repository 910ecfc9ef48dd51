package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.ProcessTable;
import io.pageferry.integration.process.RunningProcess;
import io.pageferry.integration.process.RunningProcess.Signal;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.Surroundings;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.integration.process.Transcript;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A program that is steered by commands alone: it moves in each mode with its device state, it
 * stays where one of its commands fails, and it is found again by an agent that comes after one
 * that was killed.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(value = 240, unit = TimeUnit.SECONDS)
final class CommandControlTest {
  private static final int FAILED = 1;
  private static final int REFUSED = 3;
  private static final int RECOVERABLE = 5;

  private static Path program = Path.of("");

  private Hosts hosts;
  private SourceHost source;
  private TargetHost target;
  private CommandGuest here;
  private CommandGuest there;

  @BeforeAll
  static void compile(Hosts hosts) throws Exception {
    program = CommandGuest.compile(hosts.workplace());
  }

  @BeforeEach
  void remember(Hosts shared) throws Exception {
    hosts = shared;
    source = shared.source();
    target = shared.target();
    String name = shared.guestName();
    here = CommandGuest.in(source.folder(), source.imageFolder(), program, name);
    there = CommandGuest.in(target.folder(), target.imageFolder(), program, name);
  }

  private void expect(Map<String, String> commands, String... more) throws IOException {
    Files.writeString(
        target.folder().resolve("guests").resolve(there.name() + ".yaml"),
        there.description(commands, true, more));
  }

  private Departure migrate(
      SourceHost from, Map<String, String> commands, String[] more, String... options)
      throws IOException {
    Path description = from.folder().resolve(here.name() + ".yaml");
    Files.writeString(description, here.description(commands, false, more));
    return from.migrate(
        description, target.address(), hosts.tls(), List.of(options), Terminal.DETACHED);
  }

  private Departure migrate(String... options) throws IOException {
    expect(there.commands());
    return migrate(source, here.commands(), new String[0], options);
  }

  private String story(Departure departure) {
    return departure.agent().transcript().text()
        + "--- target:\n"
        + target.agent().transcript().text();
  }

  private void exits(int code, Departure departure, String... said) throws Exception {
    assertThat(departure.awaitExit(Journey.LIMIT)).describedAs(story(departure)).isEqualTo(code);
    List<String> sentences =
        departure.agent().transcript().lines(Transcript.Stream.ERR).stream()
            .filter(line -> line.startsWith("pageferry: "))
            .toList();
    assertThat(sentences).describedAs(story(departure)).hasSize(said.length == 0 ? 0 : 1);
    for (String part : said) {
      assertThat(String.join("", sentences)).contains(part);
    }
  }

  private void run(RunningProcess process) throws Exception {
    assertThat(process.awaitExit(Journey.LIMIT)).describedAs(process.state()).isZero();
  }

  private RunningProcess recover() throws IOException {
    return source.command(
        List.of("recover", "--state", source.state().toString()), Terminal.DETACHED);
  }

  private void assertArrived(RunningProcess left, long ticksBefore) throws Exception {
    assertThat(there.isRunning()).isTrue();
    assertThat(there.count("faults")).isZero();
    assertThat(there.count("ticks")).isGreaterThan(ticksBefore);
    await("the end of the guest on the source").atMost(Journey.LIMIT).until(() -> !left.isAlive());
    there.tell("quit");
  }

  private void assertStayed(RunningProcess guest) throws Exception {
    assertThat(here.isRunning()).isTrue();
    long ticks = here.count("ticks");
    assertThat(here.count("faults")).isZero();
    await("further ticks").atMost(Journey.LIMIT).until(() -> here.count("ticks") > ticks);
    assertThat(ProcessTable.descriptors(guest.pid(), "userfaultfd")).isZero();
    await("a tidy target")
        .atMost(Journey.LIMIT)
        .untilAsserted(
            () -> {
              assertThat(there.image()).doesNotExist();
              assertThat(ProcessTable.mentioning(there.image().toString())).isEmpty();
              assertThat(ProcessTable.mentioning(there.socket().toString())).isEmpty();
            });
  }

  @ParameterizedTest
  @CsvSource({
    "precopy,       userfaultfd-wp, true",
    "stop-and-copy, '',             false",
    "hybrid,        userfaultfd-wp, false",
    "postcopy,      '',             true",
  })
  void moves(String mode, String tracking, boolean byFile) throws Exception {
    RunningProcess guest = here.start(hosts.workplace());
    final long ticks = here.count("ticks");
    Map<String, String> sending = here.commands();
    Map<String, String> receiving = there.commands();
    if (!byFile) {
      sending.put("save-state", here.words("save"));
      receiving.put("load-state", there.words("load"));
    }
    expect(receiving);
    Departure departure = migrate(source, sending, new String[0], "--mode", mode);
    exits(0, departure);
    JsonNode report = departure.report();
    assertThat(report.path("verified").asBoolean()).isTrue();
    assertThat(report.path("pages").path("total").asLong()).isEqualTo(CommandGuest.PAGES);
    if (!tracking.isEmpty()) {
      assertThat(report.path("tracking").asText()).isEqualTo(tracking);
    }
    assertArrived(guest, ticks);
  }

  @Test
  void staysWhereACommandFails() throws Exception {
    RunningProcess guest = here.start(hosts.workplace());
    fails(
        guest, FAILED, "pause", "echo the brake is off >&2; exit 3", "the brake is off", "code 3");
    fails(guest, FAILED, "save-state", "echo half; echo disk full >&2; exit 1", "disk full");
    fails(guest, FAILED, "save-state", "true", "no device state");
    fails(guest, FAILED, "load-state", "echo no such device >&2; exit 1", "no such device");
    fails(guest, REFUSED, "status", "exit 9", "'status'", "code 9");
    here.tell("quit");
  }

  /** With what it has started, on either side. */
  @Test
  void staysWhereACommandHangs() throws Exception {
    RunningProcess guest = here.start(hosts.workplace());
    for (String key : List.of("save-state", "load-state")) {
      String line = "sh -c ': %s; sleep 600; :' & sleep 600".formatted(here.name());
      fails(guest, FAILED, key, line, "'" + key + "'", "did not end within 2000 ms and was killed");
      assertThat(ProcessTable.mentioning(": " + here.name())).isEmpty();
    }
    here.tell("quit");
  }

  /** Those of loading and of the preflight fail on the target, the others on the source. */
  private void fails(RunningProcess guest, int exit, String key, String line, String... said)
      throws Exception {
    Map<String, String> commands = here.commands();
    Map<String, String> others = there.commands();
    boolean onTarget = key.equals("load-state") || key.equals("status");
    Map<String, String> broken = onTarget ? others : commands;
    broken.put(key, CommandGuest.shell(line));
    broken.put("timeout", "2s");
    expect(others);
    String[] sentence = new String[said.length + 1];
    System.arraycopy(said, 0, sentence, 0, said.length);
    sentence[said.length] = exit == REFUSED ? "refused" : "runs on here";
    exits(exit, migrate(source, commands, new String[0], "--mode", "stop-and-copy"), sentence);
    assertStayed(guest);
  }

  @Test
  void whatItsDescriptionDoesNotAllowIsRefused() throws Exception {
    RunningProcess guest = here.start(hosts.workplace());
    Map<String, String> commands = here.commands();
    commands.remove("save-state");
    exits(REFUSED, migrate(source, commands, new String[0]), "'save-state'", "only be received");

    commands = here.commands();
    commands.put("save-state", CommandGuest.list(List.of("./nowhere")));
    exits(REFUSED, migrate(source, commands, new String[0]), "nowhere is no program here");

    commands = there.commands();
    commands.remove("load-state");
    expect(commands);
    exits(
        REFUSED,
        migrate(source, here.commands(), new String[0]),
        "no command 'load-state'",
        "cannot be received");

    expect(there.commands(), "attach: never");
    exits(
        REFUSED,
        migrate(source, here.commands(), new String[0], "--mode", "postcopy"),
        "has to be attached to",
        "'attach: never'");
    assertStayed(guest);
    here.tell("quit");
  }

  /** Its command goes on when the agent that gave it is gone, and has its effect later. */
  @Test
  void isResumedAfterItsAgentWasKilledInThePause() throws Exception {
    RunningProcess guest = here.start(hosts.workplace());
    Path begun = source.folder().resolve(here.name() + ".begun");
    Map<String, String> commands = here.commands();
    commands.put(
        "pause",
        CommandGuest.shell(
            "touch %s; sleep 4; exec %s tell %s pause".formatted(begun, program, here.socket())));
    expect(there.commands());
    Departure departure = migrate(source, commands, new String[0], "--mode", "stop-and-copy");
    await("the pause").atMost(Journey.LIMIT).until(() -> Files.exists(begun));
    departure.agent().signal(Signal.KILL);
    departure.awaitExit(Journey.LIMIT);
    run(recover());
    assertThat(ProcessTable.mentioning(begun.toString())).isEmpty();
    assertStayed(guest);
    here.tell("quit");
  }

  @Test
  void isNotMissedWhenItEndsInThePause() throws Exception {
    RunningProcess guest = here.start(hosts.workplace());
    expect(there.commands());
    Hold paused = Hold.at("paused", hosts);
    Departure departure =
        migrate(
            source.in(paused.surroundings()),
            here.commands(),
            new String[0],
            "--mode",
            "stop-and-copy");
    paused.awaitReached(departure.agent());
    guest.signal(Signal.KILL);
    guest.awaitExit(Journey.LIMIT);
    paused.release();
    exits(FAILED, departure, "the guest ended during the migration", "process is gone");
  }

  /** It may have run there for a moment: only its user can want the copy here to run on. */
  @ParameterizedTest
  @ValueSource(strings = {"precopy", "postcopy"})
  void isKeptWhereItEndsAsItIsToldToRun(String mode) throws Exception {
    RunningProcess guest = here.start(hosts.workplace());
    Map<String, String> receiving = there.commands();
    // Gone is what its parent, the agent, has heard the end of.
    receiving.put(
        "resume",
        CommandGuest.shell(
            "guest=$(pgrep -f '[r]un %s'); kill -9 $guest; while kill -0 $guest; do sleep 0.05; done; exit 1"
                .formatted(there.socket())));
    expect(receiving);
    Departure departure = migrate(source, here.commands(), new String[0], "--mode", mode);
    exits(RECOVERABLE, departure, "stays paused", "source recover", "--force");
    assertThat(here.isRunning()).isFalse();
    run(
        source.command(
            List.of("recover", "--force", "--state", source.state().toString()),
            Terminal.DETACHED));
    // The image of a guest that was whole there is its user's.
    Files.deleteIfExists(there.image());
    assertStayed(guest);
    here.tell("quit");
  }

  @Test
  void isStartedByTheAgentAfterTheOneThatTookItOver() throws Exception {
    TargetHost killed =
        TargetHost.start(
                hosts.workplace(),
                "commanding",
                Hosts.lastingAddress(),
                hosts.tls(),
                Surroundings.USUAL.with("PAGEFERRY_HOLD", "taken-over:60000"),
                List.of())
            .awaitReady();
    target = killed;
    there = CommandGuest.in(target.folder(), target.imageFolder(), program, here.name());
    RunningProcess guest = here.start(hosts.workplace());
    final long ticks = here.count("ticks");
    Departure departure = migrate("--settle-for", "1s");
    killed
        .agent()
        .awaitLine("taken over", line -> line.equals("holding at taken-over"), Journey.LIMIT);
    killed.agent().signal(Signal.KILL);
    exits(RECOVERABLE, departure, "source recover");
    assertThat(here.isRunning()).isFalse();
    assertThat(there.isRunning()).isFalse();

    TargetHost again = hosts.restarted(killed);
    await("the guest on the target").atMost(Journey.LIMIT).until(there::isRunning);
    run(recover());
    assertArrived(guest, ticks);
    again.agent().stop(Duration.ofSeconds(5));
  }
}
