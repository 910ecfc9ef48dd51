package io.pageferry.integration.bench;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.GuestConsole.Beat;
import io.pageferry.integration.process.GuestConsole.Verification;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.ProcessFailure;
import io.pageferry.integration.process.QemuGuest;
import io.pageferry.integration.process.QemuGuestSpec;
import io.pageferry.integration.process.QemuKit;
import io.pageferry.integration.process.QemuOwnMigration;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.OptionalDouble;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One guest in QEMU that is moved on and on, by whatever means, so that all of them move the same
 * guest. Each time it comes to a new process with fresh memory. Driver thread only.
 */
final class WanderingGuest implements AutoCloseable {
  private static final Duration LIMIT = Duration.ofMinutes(3);
  private static final Duration FIRST_BEAT = Duration.ofSeconds(30);
  private static final Pattern HELD = Pattern.compile("was held for ([0-9.]+) ms");

  /** So that what it did while it settled down is not counted. */
  private static final Duration SETTLING = Duration.ofMillis(500);

  private final Workplace workplace;
  private SourceHost place;
  private QemuGuest guest;
  private int moves;

  /**
   * What one move came to.
   *
   * @param totalMillis from when nothing of it was there, the start of its process included
   * @param beforehandMillis of that, until the first page was sent
   * @param downtimeMillis between the last heartbeat there and the first one here
   * @param bytes on the wire, as the one who moved it counts
   * @param heldMillis how long a thread was held to attach to the guest
   * @param faults pages that the guest had to wait for
   */
  record Move(
      double totalMillis,
      double beforehandMillis,
      double downtimeMillis,
      double bytes,
      OptionalDouble heldMillis,
      long faults) {}

  private WanderingGuest(Workplace workplace, SourceHost place, QemuGuest guest) {
    this.workplace = workplace;
    this.place = place;
    this.guest = guest;
  }

  /**
   * Boots it and waits until it has filled its memory.
   *
   * @throws IOException if it does not come up
   */
  static WanderingGuest boot(Workplace workplace, QemuGuestSpec spec)
      throws IOException, InterruptedException {
    SourceHost place = SourceHost.create(workplace, spec.name() + "-0");
    QemuGuest guest = place.startGuest(spec);
    guest.awaitReady();
    return new WanderingGuest(workplace, place, guest);
  }

  /**
   * Has QEMU move it.
   *
   * @throws IOException if it does not arrive
   */
  Move byQemu(QemuOwnMigration migration) throws IOException, InterruptedException {
    settleDown();
    moves++;
    long begin = System.nanoTime();
    SourceHost next = SourceHost.create(workplace, spec().name() + "-" + moves);
    QemuGuest arriving = next.awaitGuest(spec());
    QemuOwnMigration.Outcome outcome = migration.move(guest, arriving);
    if (!arriving.console().isHeardWithin(FIRST_BEAT)) {
      throw new ProcessFailure(
          "the guest says nothing any more after QEMU's own migration: without KVM, QEMU 7.2 loses"
              + " pages of a guest that writes; name a newer one with "
              + QemuKit.PROGRAM_VARIABLE);
    }
    double downtime = arrived("QEMU", next, arriving);
    double beforehand = (outcome.orderedNanos() - begin) / 1e6;
    return new Move(
        beforehand + outcome.totalMillis(),
        beforehand,
        downtime,
        outcome.bytes(),
        OptionalDouble.empty(),
        0);
  }

  /**
   * Has Pageferry move it.
   *
   * @param options of the source agent
   * @throws IOException if it does not arrive
   */
  Move byPageferry(TargetHost target, PeerSecurity security, List<String> options)
      throws IOException, InterruptedException {
    Moved moved = moveByPageferry(target, security, options);
    JsonNode report = moved.report();
    JsonNode times = report.path("times");
    Matcher held = HELD.matcher(moved.said());
    return new Move(
        times.path("totalMs").asDouble(),
        times.path("preparationMs").asDouble() - times.path("precopyMs").asDouble(),
        moved.downtimeMillis(),
        report.path("bytes").path("wire").asDouble(),
        held.find() ? OptionalDouble.of(Double.parseDouble(held.group(1))) : OptionalDouble.empty(),
        report.path("faults").path("count").asLong());
  }

  /**
   * The same for what the source agent reports.
   *
   * @throws IOException if it does not arrive
   */
  JsonNode reportedByPageferry(TargetHost target, PeerSecurity security, List<String> options)
      throws IOException, InterruptedException {
    return moveByPageferry(target, security, options).report();
  }

  /** What Pageferry says of a move, and for how long the guest was nowhere. */
  private record Moved(JsonNode report, String said, double downtimeMillis) {}

  private Moved moveByPageferry(TargetHost target, PeerSecurity security, List<String> options)
      throws IOException, InterruptedException {
    settleDown();
    target.expect(spec());
    QemuGuest arriving = QemuGuest.expectedAt(target, spec());
    Departure departure =
        place.migrate(spec(), target.address(), security, null, options, Terminal.DETACHED);
    int exit = departure.awaitExit(LIMIT);
    if (exit != 0) {
      throw new ProcessFailure(
          "a measured migration ended with exit code %d%n%s%n%s"
              .formatted(exit, departure.agent().state(), target.agent().state()));
    }
    // Agents and guest of one host share its folders, whoever moved the guest there.
    double downtime = arrived("Pageferry", SourceHost.create(workplace, target.name()), arriving);
    return new Moved(departure.report(), departure.agent().transcript().text(), downtime);
  }

  private void settleDown() throws IOException, InterruptedException {
    guest.console().awaitNextBeat(FIRST_BEAT);
    Thread.sleep(SETTLING);
  }

  /** From here on the guest is there; returns for how long it was nowhere. */
  private double arrived(String by, SourceHost next, QemuGuest arriving)
      throws IOException, InterruptedException {
    Beat first = arriving.console().awaitFirstBeat(FIRST_BEAT);
    Beat last = Objects.requireNonNull(guest.console().lastBeat());
    // The same one may come from both: the serial port's queue, which holds a line, moves as it is,
    // and what it held is also written out by who had it.
    if (first.number() < last.number()) {
      throw new ProcessFailure(
          "heartbeat %d came after %d: the guest, moved by %s, ran twice"
              .formatted(first.number(), last.number(), by));
    }
    leave();
    place = next;
    guest = arriving;
    return (first.nanos() - last.nanos()) / 1e6;
  }

  private void leave() throws IOException, InterruptedException {
    try {
      guest.end();
    } catch (IOException endedAlready) {
      // The source agent ends what it has moved.
    }
    guest.close();
    for (Path image : spec().images(place.imageFolder())) {
      Files.deleteIfExists(image);
    }
  }

  /** Has it stand still while others are measured, or go on. */
  void run(boolean on) throws IOException {
    guest.run(on);
  }

  /**
   * Has it check all of its memory.
   *
   * @throws IOException if it finds a page that is not as it has to be
   */
  void verify() throws IOException, InterruptedException {
    Verification verification = guest.verify();
    if (verification.faults() > 0) {
      throw new ProcessFailure(
          "the guest found %d of its %d pages damaged after %d moves"
              .formatted(verification.faults(), verification.pages(), moves));
    }
  }

  /** Its last heartbeat; of a database, how many operations it did. */
  Beat lastBeat() {
    return Objects.requireNonNull(guest.console().lastBeat());
  }

  private QemuGuestSpec spec() {
    return guest.spec();
  }

  /** Ends it; its folders go with the workplace. */
  @Override
  public void close() throws IOException {
    try {
      guest.quit();
    } finally {
      guest.close();
      for (Path image : spec().images(place.imageFolder())) {
        Files.deleteIfExists(image);
      }
    }
  }
}
