package io.pageferry.guest.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.control.GuestTicks;
import io.pageferry.guest.control.QmpControl;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.Random;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

@Timeout(120)
final class DemoGuestTest {
  private Path folder;

  @BeforeEach
  void makeFolder() throws Exception {
    folder = DemoProcess.memoryFolder();
  }

  @AfterEach
  void removeFolder() throws Exception {
    DemoProcess.delete(folder);
  }

  private String image() {
    return folder.resolve("ram").toString();
  }

  private static GuestTicks ticks(QmpControl control) throws Exception {
    return control.ticks().orElseThrow();
  }

  @ParameterizedTest
  @EnumSource(PagePattern.class)
  void aGuestGoesOnInAnotherProcessAndFindsNothingWrong(PagePattern pattern) throws Exception {
    try (DemoProcess source =
            DemoProcess.start(
                folder,
                "source",
                "--image",
                image(),
                "--memory",
                "64M",
                "--regions",
                "2",
                "--pattern",
                pattern.word(),
                "--dirty-rate",
                "60MB/s",
                "--seed",
                "42");
        QmpControl from = source.control();
        DemoProcess target =
            DemoProcess.start(
                folder,
                "target",
                "--image",
                image(),
                "--memory",
                "64M",
                "--regions",
                "2",
                "--incoming");
        QmpControl to = target.control()) {
      assertThat(to.status().awaitsDeviceState()).isTrue();
      assertThatThrownBy(to::resume).hasMessageContaining("waits for migrate-incoming");
      Awaitility.await().atMost(DemoProcess.LIMIT).until(() -> ticks(from).operations() > 3000);

      from.pause();
      GuestTicks before = ticks(from);
      assertThat(before.running()).isFalse();
      byte[] state = from.saveDeviceState();
      assertThat(from.status().name()).isEqualTo("postmigrate");
      assertThat(ticks(from).ticks()).isEqualTo(before.ticks());
      to.loadDeviceState(state);
      assertThat(to.status().name()).isEqualTo("paused");
      assertThat(ticks(to).handoverGapMicros()).isZero();
      to.resume();

      Awaitility.await()
          .atMost(DemoProcess.LIMIT)
          .until(() -> ticks(to).operations() > before.operations() + 3000);
      GuestTicks after = to.verify(DemoProcess.LIMIT).orElseThrow();
      assertThat(after.running()).isTrue();
      assertThat(after.pagesVerified()).isEqualTo((64 << 20) / 4096);
      assertThat(after.firstFault()).isEmpty();
      assertThat(after.faultsFound()).isZero();
      assertThat(after.handoverGapMicros()).isBetween(100L, 60_000_000L);
      assertThat(after.longestGapMicros()).isGreaterThanOrEqualTo(after.handoverGapMicros());
      from.quit();
      assertThat(source.exitCode()).isZero();
      to.quit();
      assertThat(target.exitCode()).isZero();
      assertThat(Files.exists(folder.resolve("ram.0"))).isFalse();
    }
  }

  @Test
  void damagedAndForeignStateIsRefusedAndTheRightOneStillTaken() throws Exception {
    try (DemoProcess source =
            DemoProcess.start(folder, "source", "--image", image(), "--memory", "8M");
        QmpControl from = source.control();
        DemoProcess target = DemoProcess.start(folder, "target", "--image", image(), "--incoming");
        QmpControl to = target.control()) {
      byte[] state = from.saveDeviceState();
      byte[] damaged = state.clone();
      damaged[damaged.length / 2] ^= 4;
      assertThatThrownBy(() -> to.loadDeviceState(damaged))
          .isInstanceOf(GuestControlException.class)
          .hasMessageContaining("its checksum does not match");
      assertThatThrownBy(
              () -> to.loadDeviceState("not a state at all".getBytes(StandardCharsets.US_ASCII)))
          .hasMessageContaining("not the device state of a demo guest");
      assertThat(to.status().awaitsDeviceState()).isTrue();
      to.loadDeviceState(state);
      to.resume();
      assertThat(to.status().running()).isTrue();
      assertThatThrownBy(() -> to.loadDeviceState(state))
          .hasMessageContaining("the guest was not started with --incoming, or has its state");
    }
  }

  @Test
  void theRateIsKept() throws Exception {
    try (DemoProcess guest =
            DemoProcess.start(
                folder, "guest", "--image", image(), "--memory", "128M", "--dirty-rate", "40MB/s");
        QmpControl control = guest.control()) {
      Awaitility.await().atMost(DemoProcess.LIMIT).until(() -> ticks(control).operations() > 1000);
      // A busy machine may hold it up in some seconds, and let it catch up in others.
      Awaitility.await()
          .atMost(DemoProcess.LIMIT)
          .pollDelay(Duration.ZERO)
          .untilAsserted(() -> assertRate(control, 40e6));
    }
  }

  private static void assertRate(QmpControl control, double bytesPerSecond) throws Exception {
    long from = System.nanoTime();
    long before = ticks(control).operations();
    Awaitility.await().until(() -> System.nanoTime() - from > 1_500_000_000L);
    GuestTicks after = ticks(control);
    double seconds = (System.nanoTime() - from) / 1e9;
    assertThat((after.operations() - before) * 4096 / seconds)
        .isCloseTo(bytesPerSecond, within(bytesPerSecond / 10));
    assertThat(after.operationsPerSecond() * 4096.0)
        .isCloseTo(bytesPerSecond, within(bytesPerSecond / 10));
  }

  @Test
  void theLongestGapCanBeMeasuredAnewAndHoldsAPause() throws Exception {
    try (DemoProcess guest =
            DemoProcess.start(folder, "guest", "--image", image(), "--memory", "8M");
        QmpControl control = guest.control()) {
      control.pause();
      long pausedAt = System.nanoTime();
      Awaitility.await().until(() -> System.nanoTime() - pausedAt > 300_000_000L);
      control.resume();
      // The answer to "cont" may be here before the guest has ticked again.
      Awaitility.await()
          .atMost(DemoProcess.LIMIT)
          .until(() -> ticks(control).longestGapMicros() >= 300_000);
      assertThat(control.ticksAndResetLongestGap().orElseThrow().longestGapMicros())
          .isGreaterThanOrEqualTo(300_000);
      Awaitility.await()
          .atMost(DemoProcess.LIMIT)
          .until(() -> ticks(control).longestGapMicros() < 300_000);
      assertThat(ticks(control).handoverGapMicros()).isZero();
    }
  }

  @Test
  void garbageOnTheSocketDoesNotKillTheGuest() throws Exception {
    try (DemoProcess guest =
        DemoProcess.start(folder, "guest", "--image", image(), "--memory", "8M")) {
      guest.control().close();
      Random random = new Random(3);
      for (int i = 0; i < 40; i++) {
        try (SocketChannel channel =
            SocketChannel.open(UnixDomainSocketAddress.of(guest.socket()))) {
          byte[] noise = new byte[random.nextInt(3000)];
          random.nextBytes(noise);
          channel.write(ByteBuffer.wrap(noise));
          if (i % 4 == 0) {
            byte[] command =
                "\n{\"execute\": \"qmp_capabilities\"}\n{\"execute\": [\n{\"execute\": \"migrate\"}\n"
                    .getBytes(StandardCharsets.US_ASCII);
            channel.write(ByteBuffer.wrap(command));
          }
        }
      }
      try (SocketChannel channel = SocketChannel.open(UnixDomainSocketAddress.of(guest.socket()))) {
        channel.write(ByteBuffer.allocate(1 << 16).put(0, (byte) '\n'));
      }
      try (QmpControl control = guest.control()) {
        assertThat(control.status().running()).isTrue();
        assertThat(ticks(control).faultsFound()).isZero();
        control.quit();
      }
      assertThat(guest.exitCode()).isZero();
    }
  }

  @Test
  void oneConnectionAfterTheOtherIsServed() throws Exception {
    try (DemoProcess guest =
        DemoProcess.start(folder, "guest", "--image", image(), "--memory", "8M")) {
      try (QmpControl first = guest.control()) {
        first.pause();
      }
      try (QmpControl second = guest.control()) {
        assertThat(second.status().name()).isEqualTo("paused");
        second.resume();
      }
      try (QmpControl third = guest.control()) {
        assertThat(third.status().running()).isTrue();
      }
    }
  }

  @Test
  void sigtermEndsTheGuestAndRemovesWhatItMade() throws Exception {
    try (DemoProcess guest =
        DemoProcess.start(folder, "guest", "--image", image(), "--memory", "8M")) {
      try (QmpControl control = guest.control()) {
        assertThat(control.status().running()).isTrue();
        assertThat(Files.size(Path.of(image()))).isEqualTo(8 << 20);
        guest.process().destroy();
        assertThat(guest.exitCode()).isEqualTo(128 + 15);
      }
      assertThat(Files.exists(guest.socket())).isFalse();
      assertThat(Files.exists(Path.of(image()))).isFalse();
    }
  }

  @Test
  void aGuestThatEndsLeavesAnImageAloneThatIsNotItsOwn() throws Exception {
    try (DemoProcess guest =
            DemoProcess.start(folder, "guest", "--image", image(), "--memory", "8M");
        QmpControl control = guest.control()) {
      Files.move(Path.of(image()), folder.resolve("aside"));
      Files.writeString(Path.of(image()), "another guest");
      control.quit();
      assertThat(guest.exitCode()).isZero();
    }
    assertThat(Path.of(image())).hasContent("another guest");
  }

  @Test
  void aKilledGuestsSocketIsTakenOverAndAnImageThatWasThereIsKept() throws Exception {
    Files.createFile(Path.of(image()));
    try (DemoProcess guest =
        DemoProcess.start(folder, "guest", "--image", image(), "--memory", "8M")) {
      guest.control().close();
      guest.process().destroyForcibly();
      assertThat(guest.exitCode()).isEqualTo(128 + 9);
    }
    assertThat(Files.exists(folder.resolve("guest.sock"))).isTrue();
    try (DemoProcess guest =
            DemoProcess.start(folder, "guest", "--image", image(), "--memory", "8M");
        QmpControl control = guest.control()) {
      control.quit();
      assertThat(guest.exitCode()).isZero();
    }
    assertThat(Files.exists(Path.of(image()))).isTrue();
    assertThat(Files.exists(folder.resolve("guest.sock"))).isFalse();
  }

  @Test
  void aGuestStartedTwiceIsRefusedAndTheFirstOneUnharmed() throws Exception {
    try (DemoProcess first =
            DemoProcess.start(folder, "guest", "--image", image(), "--memory", "8M");
        QmpControl control = first.control()) {
      try (DemoProcess second =
          DemoProcess.start(folder, "guest", "--image", image(), "--memory", "8M")) {
        assertThat(second.exitCode()).isEqualTo(1);
        assertThat(second.output()).contains("another guest listens at " + first.socket());
      }
      assertThat(control.verify(DemoProcess.LIMIT).orElseThrow().faultsFound()).isZero();
      control.quit();
      assertThat(first.exitCode()).isZero();
    }
  }

  @Test
  void aGuestWhoseMemoryIsTakenAwaySaysSoAndNeverRunsAgain() throws Exception {
    try (DemoProcess guest =
            DemoProcess.start(folder, "guest", "--image", image(), "--memory", "8M");
        QmpControl control = guest.control()) {
      try (FileChannel file = FileChannel.open(Path.of(image()), StandardOpenOption.WRITE)) {
        file.truncate(0);
      }
      Awaitility.await()
          .atMost(DemoProcess.LIMIT)
          .until(() -> control.status().name().equals("internal-error"));
      assertThat(control.status().running()).isFalse();
      assertThatThrownBy(control::resume).hasMessageContaining("processor has stopped");
      assertThatThrownBy(() -> control.verify(DemoProcess.LIMIT))
          .hasMessageContaining("processor stopped before all pages were checked");
      control.quit();
      assertThat(guest.exitCode()).isEqualTo(3);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--pattern striped --memory 8M|2|'striped' is no pattern",
        "--memory 5000|2|not a multiple of 4096",
        "--memory 8Q|2|--memory: '8Q' is not a size",
        "--dirty-rate 20Mb|2|may mean bits or bytes",
        "--incoming|1|does not exist",
        "--colour red|2|Unknown option",
      })
  void wrongUsageIsSaid(String options, int exit, String sentence) throws Exception {
    String[] words = ("--image " + image() + " " + options).split(" ", -1);
    try (DemoProcess guest = DemoProcess.start(folder, "guest", words)) {
      assertThat(guest.exitCode()).as(guest.output()).isEqualTo(exit);
      assertThat(guest.output()).contains(sentence);
    }
  }
}
