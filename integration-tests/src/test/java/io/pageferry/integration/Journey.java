package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.Leftovers;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.ProcessTable;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.integration.process.Transcript;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** One guest, the attempt to move it, and what must hold afterwards, whichever way it ended. */
final class Journey {
  /** Far beyond what any of them takes; a hang ends here, with the stacks of both agents. */
  static final Duration LIMIT = Duration.ofMinutes(2);

  /** The source agent has everything it needs and begins to send. */
  static final Predicate<String> FIRST_ROUND = line -> line.contains("MiB of memory in");

  /** The guest runs on the target and has not got all of its memory. */
  static final Predicate<String> SERVING = line -> line.contains("of its memory follow");

  private static final Duration SETTLED = Duration.ofSeconds(60);

  private final SourceHost source;
  private final TargetHost target;
  private final DemoGuest guest;
  private final @Nullable Departure departure;

  private Journey(
      SourceHost source, TargetHost target, DemoGuest guest, @Nullable Departure departure) {
    this.source = source;
    this.target = target;
    this.guest = guest;
    this.departure = departure;
  }

  /** A guest that nobody tries to move now. */
  static Journey observed(SourceHost source, TargetHost target, DemoGuest guest) {
    return new Journey(source, target, guest, null);
  }

  /** An attempt that was started elsewhere. */
  static Journey observed(
      SourceHost source, TargetHost target, DemoGuest guest, Departure departure) {
    return new Journey(source, target, guest, departure);
  }

  /** Begins to move a guest over mutual TLS. */
  static Journey begin(Hosts hosts, DemoGuest guest, String... options)
      throws IOException, InterruptedException {
    return begin(hosts, guest, hosts.tls(), null, options);
  }

  /** Begins to move a guest. */
  static Journey begin(
      Hosts hosts,
      DemoGuest guest,
      PeerSecurity security,
      @Nullable String tracking,
      String... options)
      throws IOException, InterruptedException {
    return begin(hosts.source(), hosts.target(security), guest, security, tracking, options);
  }

  /** Begins to move a guest between any two hosts. */
  static Journey begin(
      SourceHost source,
      TargetHost target,
      DemoGuest guest,
      PeerSecurity security,
      @Nullable String tracking,
      String... options)
      throws IOException {
    target.expect(guest.spec());
    Departure departure =
        source.migrate(
            guest.spec(),
            target.address(),
            security,
            tracking,
            List.of(options),
            Terminal.DETACHED);
    return new Journey(source, target, guest, departure);
  }

  /** Begins to move a guest through a relay. */
  static Journey begin(
      SourceHost source,
      Relay relay,
      TargetHost target,
      DemoGuest guest,
      PeerSecurity security,
      String... options)
      throws IOException {
    target.expect(guest.spec());
    return new Journey(
        source,
        target,
        guest,
        source.migrate(
            guest.spec(), relay.address(), security, null, List.of(options), Terminal.DETACHED));
  }

  /**
   * Waits for an attempt that was started elsewhere to bring its guest to a host, where it is whole
   * and runs.
   *
   * @return what the source agent reports
   */
  static JsonNode arrived(Departure departure, TargetHost there, DemoGuestSpec guest)
      throws IOException, InterruptedException {
    int exit = departure.awaitExit(LIMIT);
    String story = departure.agent().transcript().text() + there.agent().transcript().text();
    assertThat(exit).describedAs(story).isZero();
    JsonNode report = departure.report();
    assertThat(report.path("verified").asBoolean()).describedAs(story).isTrue();
    DemoGuest arrived = DemoGuest.arrivedAt(there, guest);
    JsonNode verification = arrived.verify();
    assertThat(verification.path("faultsFound").asLong()).describedAs(story).isZero();
    assertThat(verification.path("pagesVerified").asLong()).isEqualTo(guest.pages());
    assertThat(arrived.isRunning()).isTrue();
    return report;
  }

  /** The same with a target agent that was started in the place of another. */
  Journey to(TargetHost other) {
    return new Journey(source, other, guest, departure);
  }

  /** What {@link #begin} started. */
  Departure departure() {
    return Objects.requireNonNull(departure);
  }

  /** The guest as it was on the source. */
  DemoGuest guest() {
    return guest;
  }

  /** Waits for the end; a journey that hangs fails with the state of everything. */
  int awaitExit() throws IOException, InterruptedException {
    try {
      return departure().awaitExit(LIMIT);
    } catch (IOException hung) {
      throw new AssertionError(hung.getMessage() + "\n" + target.agent().state(), hung);
    }
  }

  /** Both agents' output, for messages. */
  String story() {
    return (departure == null ? "" : departure.agent().transcript().text())
        + "--- target:\n"
        + target.agent().transcript().text();
  }

  /**
   * The guest arrived whole, runs, and nothing of it is left on the source; ends it.
   *
   * @return the report
   */
  JsonNode assertArrived() throws IOException, InterruptedException {
    JsonNode report = assertMoved();
    assertThat(report.path("verified").asBoolean()).describedAs(story()).isTrue();
    return report;
  }

  /** As {@link #assertArrived}, where the agents need not have compared all that came. */
  JsonNode assertMoved() throws IOException, InterruptedException {
    assertThat(awaitExit()).describedAs("exit code%n%s", story()).isZero();
    JsonNode report = departure().report();
    assertThat(report.path("outcome").asText()).isEqualTo("completed");
    assertWhole(report.path("pages").path("total").asLong());
    return report;
  }

  /** As {@link #assertMoved}, whatever became of the agent that began it. */
  void assertWhole(long pages) throws IOException {
    DemoGuest there = DemoGuest.arrivedAt(target, guest.spec());
    JsonNode verification = there.verify();
    assertThat(verification.path("faultsFound").asLong())
        .describedAs("damaged pages on the target: %s%n%s", verification, story())
        .isZero();
    assertThat(verification.path("pagesVerified").asLong()).isEqualTo(pages);
    assertTicking(there);
    assertThat(there.ticks().path("handoverGapMicros").asLong()).isPositive();
    await("the guest's end on the source").atMost(SETTLED).until(() -> !guest.process().isAlive());
    assertThat(guest.process().transcript().text()).doesNotContain("fault at");
    there.quit();
    settledOnTarget();
  }

  /**
   * The guest stayed, runs and is whole; nothing is left on either side; ends it.
   *
   * @param exit the agent's exit code
   * @param sentence what the one line on standard error contains
   */
  void assertStayed(int exit, String... sentence) throws IOException, InterruptedException {
    assertThat(awaitExit()).describedAs("exit code%n%s", story()).isEqualTo(exit);
    assertSaid(sentence);
    assertUnharmed();
    settledOnTarget();
    guest.quit();
  }

  /** The agent ended with one sentence that contains all of these. */
  void assertSaid(String... parts) {
    List<String> said =
        departure().agent().transcript().lines(Transcript.Stream.ERR).stream()
            .filter(line -> line.startsWith("pageferry: "))
            .toList();
    assertThat(said).describedAs("the sentence%n%s", story()).hasSize(1);
    assertThat(said.getFirst()).describedAs(story()).contains(parts);
  }

  /** The guest runs on the source, finds itself whole, and no tracking is left on it. */
  void assertUnharmed() throws IOException {
    JsonNode verification = guest.verify();
    assertThat(verification.path("faultsFound").asLong())
        .describedAs("damaged pages on the source: %s%n%s", verification, story())
        .isZero();
    assertTicking(guest);
    await("a tidy source")
        .atMost(SETTLED)
        .untilAsserted(
            () -> assertThat(Leftovers.onSource(source, guest)).describedAs(story()).isEmpty());
  }

  /** Nothing of the guest is left on the target. */
  void settledOnTarget() {
    await("a tidy target")
        .atMost(SETTLED)
        .untilAsserted(
            () ->
                assertThat(Leftovers.onTarget(target, guest.spec()))
                    .describedAs(story())
                    .isEmpty());
  }

  private static void assertTicking(DemoGuest running) throws IOException {
    assertThat(running.isRunning()).describedAs("the guest runs").isTrue();
    long before = running.ticks().path("ticks").asLong();
    await("further ticks")
        .atMost(SETTLED)
        .until(() -> running.ticks().path("ticks").asLong() > before);
  }

  /** Kills the guest's process on the target; returns when the agent there can know it. */
  void killThere() throws IOException {
    String image = guest.spec().images(target.imageFolder()).getFirst().toString();
    List<ProcessTable.Entry> found = ProcessTable.mentioning(image);
    assertThat(found).describedAs(story()).hasSize(1);
    ProcessTable.kill(found.getFirst());
    await("its end").atMost(LIMIT).until(() -> !ProcessTable.exists(found.getFirst()));
  }

  /** How many userfaultfd the guest's process has. */
  int trackers() {
    return ProcessTable.descriptors(guest.process().pid(), "userfaultfd");
  }

  /**
   * The same for that engine: those in Java take many seconds for a small guest's memory, as long
   * as they are not compiled.
   */
  static DemoGuestSpec small(Hosts hosts, String engine) {
    return List.of("jdk", "bouncycastle").contains(engine)
        ? DemoGuestSpec.uniform(hosts.guestName(), "12M", "4MB/s")
        : small(hosts);
  }

  /** A small guest that writes moderately. */
  static DemoGuestSpec small(Hosts hosts) {
    return DemoGuestSpec.uniform(hosts.guestName(), "48M", "20MB/s");
  }
}
