package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.Leftovers;
import io.pageferry.integration.process.ProcessTable;
import io.pageferry.integration.process.QemuGuest;
import io.pageferry.integration.process.QemuGuestSpec;
import io.pageferry.integration.process.QemuKit;
import io.pageferry.integration.process.RunningProcess.Signal;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.integration.process.Transcript;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * QEMU is killed on either side, at each moment of a migration: where the guest's memory is whole
 * on one side, the guest goes on there, and elsewhere it is said where it ended. The moments are
 * hit by making an agent wait there ({@code PAGEFERRY_HOLD}).
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(600)
final class QemuKilledTest {
  private static final int MEMORY_MIB = 192;
  private static final Duration LIMIT = Duration.ofMinutes(2);
  private static final int FAILED = 1;
  private static final int REFUSED = 3;

  private record Moment(String mode, String phase) {}

  private static QemuKit kit;

  private Hosts hosts;
  private SourceHost source;
  private TargetHost target;

  @BeforeAll
  static void prepare(Hosts hosts) throws Exception {
    kit = QemuTest.kit(hosts.workplace().subfolder("qemu-killed"));
  }

  @BeforeEach
  void remember(Hosts shared) throws Exception {
    hosts = shared;
    source = shared.source();
    target = shared.target();
  }

  @AfterEach
  void noGuestIsLeft() throws Exception {
    QemuTest.endGuests(hosts, kit);
  }

  private QemuGuestSpec spec() {
    return QemuGuestSpec.of(hosts.guestName(), kit, MEMORY_MIB, 1000);
  }

  /** A guest that is still booting: who ends up with it does not depend on what it does. */
  private QemuGuest booting() throws Exception {
    QemuGuest guest = source.startGuest(spec());
    guest.console().awaitConnected(LIMIT);
    Path image = guest.spec().images(source.imageFolder()).getFirst();
    await("QEMU to make its file")
        .atMost(LIMIT)
        .until(() -> Files.exists(image) && Files.size(image) == (long) MEMORY_MIB << 20);
    return guest;
  }

  private Departure migrate(SourceHost from, TargetHost to, QemuGuestSpec spec, String... options)
      throws IOException {
    return from.migrate(spec, to.address(), hosts.tls(), null, List.of(options), Terminal.DETACHED);
  }

  /** Begins to move a guest, and has the source agent wait at that moment. */
  private Departure migrateUntil(Hold moment, QemuGuestSpec spec, String... options)
      throws Exception {
    Departure departure = migrate(source.in(moment.surroundings()), target, spec, options);
    moment.awaitReached(departure.agent());
    return departure;
  }

  private static void killOn(TargetHost host, QemuGuestSpec spec) throws IOException {
    String image = spec.images(host.imageFolder()).getFirst().toString();
    List<ProcessTable.Entry> found = ProcessTable.mentioning(image);
    assertThat(found).hasSize(1);
    ProcessTable.kill(found.getFirst());
    await("its end").atMost(LIMIT).until(() -> !ProcessTable.exists(found.getFirst()));
  }

  private void ended(Departure departure, int exit, String... said) throws Exception {
    assertThat(departure.awaitExit(LIMIT)).describedAs(story(departure)).isEqualTo(exit);
    assertThat(sentences(departure)).describedAs(story(departure)).hasSize(1);
    assertThat(sentences(departure).getFirst()).contains(said);
  }

  private void settledOnTarget(QemuGuestSpec spec) {
    settledOn(target, spec);
  }

  private static void settledOn(TargetHost host, QemuGuestSpec spec) {
    await("a tidy target")
        .atMost(LIMIT)
        .untilAsserted(() -> assertThat(Leftovers.onTarget(host, spec)).isEmpty());
  }

  private static List<String> sentences(Departure departure) {
    return departure.agent().transcript().lines(Transcript.Stream.ERR).stream()
        .filter(line -> line.startsWith("pageferry: "))
        .toList();
  }

  private String story(Departure departure) {
    return departure.agent().transcript().text()
        + "--- target:\n"
        + target.agent().transcript().text();
  }

  /** One guest lives through all of it. */
  @Test
  void theGuestOutlivesTheQemuThatItDoesNotRunIn() throws Exception {
    try (QemuGuest here = source.startGuest(spec())) {
      final long pages = here.awaitReady();
      QemuGuestSpec spec = here.spec();
      target.expect(spec);

      Mount.tmpfs(target.imageFolder(), "64m");
      try {
        ended(migrate(source, target, spec), REFUSED, "space", "runs on here");
        assertThat(Leftovers.onTarget(target, spec)).isEmpty();
      } finally {
        Mount.remove(target.imageFolder());
      }

      for (Moment moment :
          List.of(
              new Moment("postcopy", "paused"),
              new Moment("postcopy", "prepared"),
              new Moment("precopy", "handed-over"))) {
        Hold hold = Hold.at(moment.phase, hosts);
        Departure departure = migrateUntil(hold, spec, "--mode", moment.mode);
        killOn(target, spec);
        // Else the source's word that the guest is handed over may be there before it is missed.
        settledOnTarget(spec);
        hold.release();
        ended(departure, FAILED, "runs on here");
        here.console().awaitNextBeat(LIMIT);
        settledOnTarget(spec);
      }

      killedInThePreflight(here);
      killedHalfLoaded(here);
      givenBack(here);
      assertThat(here.verify().faults()).isZero();

      // What is still to be sent is in the file, which stays when QEMU ends.
      try (QemuGuest there = QemuGuest.expectedAt(target, spec)) {
        Departure departure =
            migrate(source, target, spec, "--mode", "postcopy", "--bandwidth", "40MB/s");
        departure.agent().awaitLine("serving", Journey.SERVING, LIMIT);
        here.process().signal(Signal.KILL);
        assertThat(departure.awaitExit(LIMIT)).describedAs(story(departure)).isZero();
        assertThat(departure.report().path("verified").asBoolean()).isTrue();
        assertThat(there.verify())
            .satisfies(found -> assertThat(found.faults()).isZero())
            .satisfies(found -> assertThat(found.pages()).isEqualTo(pages));
        there.quit();
      }
    }
  }

  /** Its memory is reserved, and it has been asked what it is; nothing has come yet. */
  private void killedInThePreflight(QemuGuest here) throws Exception {
    QemuGuestSpec spec = here.spec();
    Hold reserved = Hold.at("reserved", hosts);
    TargetHost other = holding("preflight", reserved);
    other.expect(spec);
    Departure departure = migrate(source, other, spec);
    reserved.awaitReached(other.agent());
    killOn(other, spec);
    reserved.release();
    ended(departure, REFUSED, "launched on the target ended", "runs on here");
    here.console().awaitNextBeat(LIMIT);
    settledOn(other, spec);
    other.agent().close();
  }

  /** One more target, whose agent waits at that moment. */
  private TargetHost holding(String name, Hold moment) throws Exception {
    return TargetHost.start(
            hosts.workplace(), name, "127.0.0.1:0", hosts.tls(), moment.surroundings(), List.of())
        .awaitReady();
  }

  /** It has the beginning of the state, and waits for the rest of it. */
  private void killedHalfLoaded(QemuGuest here) throws Exception {
    QemuGuestSpec spec = here.spec();
    Path control = target.folder().resolve(spec.name() + ".proxy");
    Path description = target.descriptionOf(spec);
    String wanted = Files.readString(description);
    Files.writeString(
        description,
        wanted.replace("qmp: \"" + target.qmp(spec) + "\"", "qmp: \"" + control + "\""));
    Departure departure = migrate(source, target, spec);
    // Somebody who listens there before QEMU does would be another guest.
    await("QEMU").atMost(LIMIT).until(() -> Files.exists(target.qmp(spec)));
    try (QmpProxy proxy =
        QmpProxy.open(
            control,
            target.qmp(spec),
            "migrate-incoming",
            order -> halfOfWhatComesBy(order, spec))) {
      ended(departure, FAILED, "device state", "ended", "runs on here");
      assertThat(proxy.hasMet()).isTrue();
    } finally {
      Files.writeString(description, wanted);
      Files.deleteIfExists(target.qmp(spec));
      Files.deleteIfExists(half(spec));
    }
    here.console().awaitNextBeat(LIMIT);
    settledOnTarget(spec);
  }

  private Path half(QemuGuestSpec spec) {
    return target.folder().resolve(spec.name() + ".half");
  }

  /**
   * Has QEMU take the state from here instead, which it gets the beginning of and then is killed.
   */
  private String halfOfWhatComesBy(String order, QemuGuestSpec spec) throws IOException {
    Matcher address = Pattern.compile("unix:([^\"]+)").matcher(order);
    assertThat(address.find()).isTrue();
    Path place = half(spec);
    ServerSocketChannel before = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    before.bind(UnixDomainSocketAddress.of(address.group(1)));
    Thread.ofVirtual()
        .start(
            () -> {
              try (before;
                  SocketChannel from = before.accept();
                  SocketChannel to = SocketChannel.open(UnixDomainSocketAddress.of(place))) {
                ByteBuffer beginning = ByteBuffer.allocate(64 << 10);
                while (beginning.hasRemaining() && from.read(beginning) >= 0) {}
                beginning.flip();
                while (beginning.hasRemaining()) {
                  to.write(beginning);
                }
                killOn(target, spec);
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            });
    return order.replace(address.group(1), place.toString());
  }

  /** It was taken over and is told to run a moment too late: the target knows that it never did. */
  private void givenBack(QemuGuest here) throws Exception {
    QemuGuestSpec spec = here.spec();
    Hold takenOver = Hold.at("taken-over", hosts);
    TargetHost other = holding("given-back", takenOver);
    other.expect(spec);
    Departure departure = migrate(source, other, spec, "--mode", "postcopy");
    takenOver.awaitReached(other.agent());
    killOn(other, spec);
    takenOver.release();
    ended(departure, FAILED, "gave the guest back", "runs on here");
    here.console().awaitNextBeat(LIMIT);
    settledOn(other, spec);
    other.agent().close();
  }

  @Test
  void theGuestEndsWithItsQemuBeforeItsStateIsSaved() throws Exception {
    try (QemuGuest guest = booting()) {
      target.expect(guest.spec());
      Hold paused = Hold.at("paused", hosts);
      Departure departure = migrateUntil(paused, guest.spec());
      guest.process().signal(Signal.KILL);
      guest.process().awaitExit(LIMIT);
      paused.release();
      ended(departure, FAILED, "guest ended");
      settledOnTarget(guest.spec());
    }
  }

  /** All that the target needs is there, or in the file. */
  @ParameterizedTest
  @ValueSource(strings = {"precopy", "postcopy"})
  void theGuestRunsThereWhenItsQemuEndsAfterItsStateIsSaved(String mode) throws Exception {
    try (QemuGuest guest = booting()) {
      target.expect(guest.spec());
      Hold prepared = Hold.at("prepared", hosts);
      Departure departure = migrateUntil(prepared, guest.spec(), "--mode", mode);
      guest.process().signal(Signal.KILL);
      guest.process().awaitExit(LIMIT);
      prepared.release();
      assertThat(departure.awaitExit(LIMIT)).describedAs(story(departure)).isZero();
      assertThat(departure.report().path("verified").asBoolean()).isTrue();
      try (QemuGuest there = QemuGuest.expectedAt(target, guest.spec())) {
        assertThat(there.isRunning()).isTrue();
        there.quit();
      }
    }
  }

  @Test
  void theGuestEndsWithTheQemuThatItRunsInWhilePagesAreMissing() throws Exception {
    try (QemuGuest guest = booting()) {
      target.expect(guest.spec());
      Hold serving = Hold.at("serving", hosts);
      Departure departure = migrateUntil(serving, guest.spec(), "--mode", "postcopy");
      killOn(target, guest.spec());
      serving.release();
      ended(departure, FAILED, "ended", "target");
      settledOnTarget(guest.spec());
    }
  }
}
