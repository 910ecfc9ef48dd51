package io.pageferry.protocol.channel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;

import io.pageferry.protocol.channel.PeerLostException.Kind;
import io.pageferry.protocol.frame.Frame;
import io.pageferry.protocol.message.Progress;
import java.io.BufferedReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.NullMarked;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@NullMarked
@Timeout(180)
final class KeepAliveTest {
  private static final TransportSettings QUICK =
      TransportSettings.plaintext().withKeepAlive(Duration.ofMillis(100), Duration.ofSeconds(2));

  /** Longer, because a process that has just started may be slow for a while. */
  private static final TransportSettings PATIENT =
      TransportSettings.plaintext().withKeepAlive(Duration.ofMillis(250), Duration.ofSeconds(3));

  /** A peer in a process of its own: accepts, and says nothing but keep-alives. */
  static final class Peer {
    private Peer() {}

    public static void main(String[] arguments) throws Exception {
      PeerAcceptor acceptor = new PeerAcceptor(PATIENT);
      InetSocketAddress address = acceptor.bind(Wire.loopback(), channel -> {});
      System.out.println(address.getPort());
      System.in.read(); // until the test ends
      acceptor.close();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"KILL", "STOP"})
  void aKilledOrStoppedPeerIsNoticedWithinSeconds(String signal) throws Exception {
    Process process =
        new ProcessBuilder(
                List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "--enable-native-access=ALL-UNNAMED",
                    "-cp",
                    System.getProperty("java.class.path"),
                    Peer.class.getName()))
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    try (PeerConnector connector = new PeerConnector(PATIENT);
        BufferedReader out = process.inputReader(StandardCharsets.UTF_8)) {
      int port = Integer.parseInt(out.readLine().trim());
      try (PeerChannel source =
          connector.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port))) {
        source.send(new Progress(1));
        // It is heard although it has nothing to say, for longer than silence is borne.
        await().during(Duration.ofSeconds(4)).atMost(Wire.SOON).until(source::isOpen);
        assertThat(source.bytesReceived()).isPositive();
        new ProcessBuilder("kill", "-" + signal, Long.toString(process.pid())).start().waitFor();
        long start = System.nanoTime();
        PeerLostException lost =
            catchThrowableOfType(PeerLostException.class, () -> source.receive(Wire.SOON));
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(30));
        assertThat(lost.kind()).isEqualTo(signal.equals("STOP") ? Kind.SILENT : Kind.CLOSED);
        assertThat(lost).hasMessageContaining("localhost:" + port);
      }
    } finally {
      process.destroyForcibly().waitFor();
    }
  }

  @Test
  void aPeerThatIsHeldUpByASlowWriteIsNotTakenForDead() throws Exception {
    try (Wire wire = new Wire(QUICK);
        Wire.Ends control = wire.join();
        Wire.Ends data = wire.join()) {
      CountDownLatch landed = new CountDownLatch(1);
      data.target().listen(new SlowLanding(Duration.ofSeconds(5), landed));
      data.source().sendFrame(Wire.frame(1, 1000));
      data.source().sendFrame(Wire.frame(2, 1000));
      assertThat(landed.await(Wire.SOON.toSeconds(), TimeUnit.SECONDS)).isTrue();
      await().during(Duration.ofMillis(500)).atMost(Wire.SOON).until(() -> allOpen(control, data));
    }
  }

  private static boolean allOpen(Wire.Ends control, Wire.Ends data) {
    return control.source().isOpen()
        && control.target().isOpen()
        && data.source().isOpen()
        && data.target().isOpen();
  }

  /**
   * Takes more than twice the silence limit for its first frame, as a write to a slow disk would.
   */
  private record SlowLanding(Duration first, CountDownLatch second) implements FrameListener {
    @Override
    public void onFrame(PeerChannel channel, Frame frame) throws InterruptedException {
      boolean slow = frame.payload().getByte(0) == 31;
      frame.release();
      if (slow) {
        assertThat(new CountDownLatch(1).await(first.toMillis(), TimeUnit.MILLISECONDS)).isFalse();
      } else {
        second.countDown();
      }
    }

    @Override
    public void onClosed(PeerChannel channel, @Nullable Throwable cause) {}
  }
}
