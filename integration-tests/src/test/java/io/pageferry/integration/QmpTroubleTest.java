package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DescriptionFile;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The guest is well and its QMP socket is not: one guest lives through all of it. */
@ExtendWith(Hosts.Shared.class)
@Timeout(value = 180, unit = TimeUnit.SECONDS)
final class QmpTroubleTest {
  private static final int FAILED = 1;
  private static final int REFUSED = 3;

  private static DemoGuest guest;

  @BeforeAll
  static void startGuest(Hosts hosts) throws Exception {
    guest = hosts.source().startGuest(Journey.small(hosts)).awaitReady();
  }

  @AfterAll
  static void endGuest() throws Exception {
    guest.quit();
  }

  private static Journey begin(Hosts hosts, Path socket, String timeout) throws Exception {
    SourceHost source = hosts.source();
    Path description =
        Files.writeString(
            source.folder().resolve(guest.spec().name() + ".yaml"),
            DescriptionFile.ofSource(guest.spec(), source.folder(), source.imageFolder(), null)
                .text()
                .replace("\"" + guest.qmp() + "\"", "\"" + socket + "\"")
                .replace("timeout: 10s", "timeout: " + timeout));
    hosts.target().expect(guest.spec());
    return Journey.observed(
        source,
        hosts.target(),
        guest,
        source.migrate(
            description, hosts.target().address(), hosts.tls(), List.of(), Terminal.DETACHED));
  }

  private static void stayed(Journey journey, int exit, String... said) throws Exception {
    assertThat(journey.awaitExit()).describedAs(journey.story()).isEqualTo(exit);
    journey.assertSaid(said);
    journey.assertUnharmed();
    journey.settledOnTarget();
  }

  @Test
  void somebodyElseHasIt(Hosts hosts) throws Exception {
    try (SocketChannel other = SocketChannel.open(UnixDomainSocketAddress.of(guest.qmp()))) {
      // Not before it is greeted is it the one that is served.
      assertThat(other.read(ByteBuffer.allocate(4096))).isPositive();
      Journey journey = begin(hosts, guest.qmp(), "1s");
      assertThat(journey.awaitExit()).describedAs(journey.story()).isEqualTo(REFUSED);
      journey.assertSaid(
          "nobody greets at the QMP socket " + guest.qmp(), "disconnect", "nothing was changed");
    }
    Journey.observed(hosts.source(), hosts.target(), guest).assertUnharmed();
  }

  /** Before the pause, which may have been carried out or not, and in it. */
  @ParameterizedTest
  @ValueSource(strings = {"stop", "migrate"})
  void itHangsUpInsteadOf(String command, Hosts hosts) throws Exception {
    Path place = hosts.source().folder().resolve(guest.spec().name() + ".proxy.qmp");
    try (QmpProxy proxy = QmpProxy.open(place, guest.qmp(), command)) {
      stayed(begin(hosts, place, "10s"), FAILED, "QMP connection", "runs on here");
      assertThat(proxy.hasMet()).isTrue();
    }
  }
}
