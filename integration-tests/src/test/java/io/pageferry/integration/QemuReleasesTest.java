package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.GuestConsole;
import io.pageferry.integration.process.Leftovers;
import io.pageferry.integration.process.QemuGuest;
import io.pageferry.integration.process.QemuGuestSpec;
import io.pageferry.integration.process.QemuKit;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SystemCommand;
import io.pageferry.integration.process.TargetHost;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Two hosts with QEMU of different releases, as when hosts are upgraded one by one: a guest goes
 * where its machine type is known, whichever is newer, and stays where it is not.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(600)
final class QemuReleasesTest {
  private static final int MEMORY_MIB = 192;
  private static final Duration LIMIT = Duration.ofMinutes(2);
  private static final int REFUSED = 3;
  private static final Pattern RELEASE = Pattern.compile("version (\\d+\\.\\d)");

  private static QemuKit older;
  private static QemuKit newer;

  @BeforeAll
  static void prepare(Hosts hosts) throws Exception {
    QemuKit usual = QemuTest.kit(hosts.workplace().subfolder("qemu-releases"));
    QemuKit other = QemuTest.orLeftOut(usual::ofOtherRelease);
    assertThat(release(other)).isNotEqualTo(release(usual));
    boolean otherIsNewer = Float.parseFloat(release(other)) > Float.parseFloat(release(usual));
    older = otherIsNewer ? usual : other;
    newer = otherIsNewer ? other : usual;
  }

  /** As 10.0; what follows after that is no other machine types. */
  private static String release(QemuKit kit) throws IOException, InterruptedException {
    String said = SystemCommand.run(kit.program().toString(), "--version");
    Matcher found = RELEASE.matcher(said);
    assertThat(found.find()).describedAs(said).isTrue();
    return found.group(1);
  }

  private static Departure migrate(Hosts hosts, QemuGuestSpec spec, String... options)
      throws Exception {
    return hosts
        .source()
        .migrate(
            spec, hosts.target().address(), hosts.tls(), null, List.of(options), Terminal.DETACHED);
  }

  private static String story(Hosts hosts, Departure departure) throws Exception {
    return departure.agent().transcript().text()
        + "--- target:\n"
        + hosts.target().agent().transcript().text();
  }

  @ParameterizedTest
  @CsvSource({"upwards, postcopy", "upwards, precopy", "downwards, hybrid"})
  void movesToAnotherRelease(String way, String mode, Hosts hosts) throws Exception {
    boolean upwards = way.equals("upwards");
    QemuGuestSpec spec =
        QemuGuestSpec.of(hosts.guestName(), upwards ? older : newer, MEMORY_MIB, 2000);
    QemuGuestSpec arrived = spec.in(upwards ? newer : older);
    TargetHost target = hosts.target();
    try (QemuGuest here = hosts.source().startGuest(spec)) {
      final long pages = here.awaitReady();
      assertThat(here.release()).isEqualTo(release(spec.kit()));
      target.expect(arrived);
      try (QemuGuest there = QemuGuest.expectedAt(target, arrived)) {
        Departure departure = migrate(hosts, spec, "--mode", mode);
        assertThat(departure.awaitExit(LIMIT)).describedAs(story(hosts, departure)).isZero();
        assertThat(departure.report().path("verified").asBoolean()).isTrue();
        assertThat(there.release())
            .isEqualTo(release(arrived.kit()))
            .isNotEqualTo(release(spec.kit()));
        there.console().awaitFirstBeat(LIMIT);
        GuestConsole.Verification found = there.verify();
        assertThat(found.faults()).describedAs("%s", there.console().faults()).isZero();
        assertThat(found.pages()).isEqualTo(pages);
        there.quit();
      }
    }
  }

  @Test
  void staysWhereItsMachineIsNotKnown(Hosts hosts) throws Exception {
    String machine = "pc-i440fx-" + release(newer);
    QemuGuestSpec spec =
        QemuGuestSpec.of(hosts.guestName(), newer, MEMORY_MIB, 1000).withMachine(machine);
    try (QemuGuest guest = hosts.source().startGuest(spec)) {
      guest.console().awaitConnected(LIMIT);
      hosts.target().expect(spec.in(older));
      Departure departure = migrate(hosts, spec);
      assertThat(departure.awaitExit(LIMIT))
          .describedAs(story(hosts, departure))
          .isEqualTo(REFUSED);
      assertThat(departure.agent().transcript().text())
          .contains("unsupported machine type", "runs on here");
      assertThat(guest.isRunning()).isTrue();
      await("a tidy target")
          .atMost(LIMIT)
          .untilAsserted(
              () -> assertThat(Leftovers.onTarget(hosts.target(), spec.in(older))).isEmpty());
    }
  }
}
