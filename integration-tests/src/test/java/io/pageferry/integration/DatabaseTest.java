package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DatabaseLoad;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.GuestConsole;
import io.pageferry.integration.process.QemuGuest;
import io.pageferry.integration.process.QemuGuestSpec;
import io.pageferry.integration.process.QemuKit;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.TargetHost;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * The distribution's Redis in a Linux guest, worked with while it moves: each answer is what was
 * stored, on either host.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(600)
final class DatabaseTest {
  private static final int MEMORY_MIB = 192;
  private static final int RECORDS = 10_000;
  private static final Duration LIMIT = Duration.ofMinutes(2);

  @Test
  void movesWhileItServes(Hosts hosts) throws Exception {
    Path folder = hosts.workplace().subfolder("database");
    QemuKit kit = QemuTest.orLeftOut(() -> QemuKit.prepareDatabase(folder));
    SourceHost source = hosts.source();
    TargetHost target = hosts.target();
    QemuGuestSpec spec =
        QemuGuestSpec.ofDatabase(
            hosts.guestName(), kit, MEMORY_MIB, new DatabaseLoad(RECORDS, 500, 50, 1));
    try (QemuGuest here = source.startGuest(spec)) {
      assertThat(here.awaitReady()).isEqualTo(RECORDS);
      target.expect(spec);
      try (QemuGuest there = QemuGuest.expectedAt(target, spec)) {
        Departure departure =
            source.migrate(
                spec,
                target.address(),
                hosts.tls(),
                null,
                List.of("--on-stall", "pause"),
                Terminal.DETACHED);
        assertThat(departure.awaitExit(LIMIT))
            .describedAs(
                "%s--- target:%n%s",
                departure.agent().transcript().text(), target.agent().transcript().text())
            .isZero();
        GuestConsole.Beat first = there.console().awaitFirstBeat(LIMIT);
        GuestConsole.Verification verification = there.verify();
        assertThat(verification.faults()).describedAs("%s", there.console().faults()).isZero();
        assertThat(verification.pages()).isEqualTo(RECORDS);
        assertThat(verification.writes()).isGreaterThan(first.number());
        GuestConsole.Beat last = Objects.requireNonNull(here.console().lastBeat());
        assertThat(first.number()).isGreaterThanOrEqualTo(last.number());
        JsonNode report = departure.report();
        assertThat(report.path("verified").asBoolean()).isTrue();
        there.quit();
      }
    } finally {
      QemuTest.endGuests(hosts, kit);
    }
  }
}
