package io.pageferry.protocol.channel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;

import io.pageferry.protocol.channel.PeerLostException.Kind;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Progress;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

@NullMarked
@Timeout(180)
final class PeerChannelTest {
  private static final int LARGE = FrameHeader.MAX_PAYLOAD;

  /**
   * Kernel socket buffers of both ends (4 MiB to send, 32 MiB to receive, doubled by the kernel's
   * own accounting) and ours.
   */
  private static final int FRAMES_UNDERWAY = 96;

  static Stream<Transport> transports() {
    return Stream.of(Transport.AUTO, Transport.EPOLL, Transport.IO_URING, Transport.NIO)
        .filter(Transport::available);
  }

  private static TransportSettings plain() {
    return TransportSettings.plaintext();
  }

  @ParameterizedTest
  @MethodSource("transports")
  void framesArriveInOrderAndIntactOnEachTransport(Transport transport) throws Exception {
    try (Wire wire = new Wire(plain().withTransport(transport));
        Wire.Ends ends = wire.join()) {
      int count = 300;
      CollectingListener listener = new CollectingListener();
      ends.target().listen(listener);
      for (int i = 0; i < count; i++) {
        ends.source().sendFrame(Wire.frame(i, 1 + i * 977 % 300_000));
      }
      await().atMost(Wire.SOON).until(() -> listener.frames() == count);
      assertThat(listener.intact(i -> 1 + i * 977 % 300_000)).isTrue();
      assertThat(ends.source().bytesSent()).isEqualTo(ends.target().bytesReceived());
      ends.target().send(new Goodbye());
      assertThat(ends.source().receive(Wire.SOON)).isEqualTo(new Goodbye());
    }
  }

  @Test
  void framesThatWaitBeforeTheListenerComesAreDeliveredFirst() throws Exception {
    try (Wire wire = new Wire(plain());
        Wire.Ends ends = wire.join()) {
      for (int i = 0; i < 20; i++) {
        ends.source().sendFrame(Wire.frame(i, 1000));
      }
      await().atMost(Wire.SOON).until(() -> ends.target().bytesReceived() > 20_000);
      CollectingListener listener = new CollectingListener();
      ends.target().listen(listener);
      ends.source().sendFrame(Wire.frame(20, 1000));
      await().atMost(Wire.SOON).until(() -> listener.frames() == 21);
      assertThat(listener.intact(i -> 1000)).isTrue();
    }
  }

  @ParameterizedTest
  @MethodSource("transports")
  void aListenerThatStopsMakesTheSenderWaitInBoundedMemory(Transport transport) throws Exception {
    TestMemory.awaitNone();
    try (Wire wire = new Wire(plain().withTransport(transport));
        Wire.Ends ends = wire.join()) {
      CountDownLatch goOn = new CountDownLatch(1);
      CollectingListener listener = new CollectingListener(goOn);
      ends.target().listen(listener);
      AtomicInteger sent = new AtomicInteger();
      int total = 3 * FRAMES_UNDERWAY;
      Thread sender = Thread.ofPlatform().start(() -> sendAll(ends.source(), total, sent));
      await().atMost(Wire.SOON).until(() -> sender.getState() == Thread.State.WAITING);
      await().during(Duration.ofMillis(300)).atMost(Wire.SOON).until(() -> isStill(sent));
      assertThat(sent.get()).isLessThan(FRAMES_UNDERWAY);
      assertThat(TestMemory.pinned()).isLessThan(16 << 20);
      goOn.countDown();
      await().atMost(Wire.SOON).until(() -> listener.frames() == total);
      sender.join();
    }
  }

  @Test
  void aQueueThatNobodyReadsMakesTheSenderWait() throws Exception {
    TestMemory.awaitNone();
    try (Wire wire = new Wire(plain());
        Wire.Ends ends = wire.join()) {
      AtomicInteger sent = new AtomicInteger();
      Thread sender =
          Thread.ofPlatform().start(() -> sendAll(ends.source(), 3 * FRAMES_UNDERWAY, sent));
      await().atMost(Wire.SOON).until(() -> sender.getState() == Thread.State.WAITING);
      await().during(Duration.ofMillis(300)).atMost(Wire.SOON).until(() -> isStill(sent));
      assertThat(TestMemory.pinned()).isLessThan(24 << 20);
      CollectingListener listener = new CollectingListener();
      ends.target().listen(listener);
      await().atMost(Wire.SOON).until(() -> listener.frames() == 3 * FRAMES_UNDERWAY);
      sender.join();
    }
    await().atMost(Wire.SOON).until(() -> TestMemory.pinned() == 0);
  }

  @Test
  void aBlockedSenderCanBeInterruptedAndIsWokenByClose() throws Exception {
    try (Wire wire = new Wire(plain());
        Wire.Ends ends = wire.join()) {
      FutureTask<Throwable> first = endlessSender(ends.source());
      Thread thread = Thread.ofPlatform().start(first);
      await().atMost(Wire.SOON).until(() -> thread.getState() == Thread.State.WAITING);
      thread.interrupt();
      assertThat(first.get(60, TimeUnit.SECONDS)).isInstanceOf(InterruptedException.class);

      FutureTask<Throwable> second = endlessSender(ends.source());
      Thread next = Thread.ofPlatform().start(second);
      await().atMost(Wire.SOON).until(() -> next.getState() == Thread.State.WAITING);
      Thread.ofPlatform().start(ends.source()::close);
      assertThat(second.get(60, TimeUnit.SECONDS))
          .isInstanceOf(PeerLostException.class)
          .hasMessageStartingWith("this side closed the connection to ");
    }
    await().atMost(Wire.SOON).until(() -> TestMemory.pinned() == 0);
  }

  @Test
  void closeLetsOutWhatWasSentAndThePeerReadsItAll() throws Exception {
    try (Wire wire = new Wire(plain());
        Wire.Ends ends = wire.join()) {
      for (int i = 0; i < 50; i++) {
        ends.target().send(new Progress(i));
      }
      // Words that nobody here reads any more must not turn the close into a reset that eats ours.
      ends.source().send(new Progress(1));
      ends.target().close();
      ends.target().close();
      for (int i = 0; i < 50; i++) {
        assertThat(ends.source().receive(Wire.SOON)).isEqualTo(new Progress(i));
      }
      assertThatThrownBy(() -> ends.source().receive(Wire.SOON))
          .isInstanceOf(PeerLostException.class)
          .hasMessage("127.0.0.1:" + wire.address.getPort() + " closed the connection");
      assertThat(ends.source().isOpen()).isFalse();
    }
  }

  @Test
  void anAbortSurfacesWithReasonAndText() throws Exception {
    try (Wire wire = new Wire(plain());
        Wire.Ends ends = wire.join()) {
      ends.target().send(new Abort(AbortReason.NO_MEMORY, "the target has 3 MiB free"));
      PeerAbortedException aborted =
          catchThrowableOfType(PeerAbortedException.class, () -> ends.source().receive(Wire.SOON));
      assertThat(aborted.reason()).isEqualTo(AbortReason.NO_MEMORY);
      assertThat(aborted.text()).isEqualTo("the target has 3 MiB free");
    }
  }

  @Test
  void receiveSaysWhoDidNotAnswer() throws Exception {
    try (Wire wire = new Wire(plain());
        Wire.Ends ends = wire.join()) {
      assertThatThrownBy(() -> ends.source().receive(Duration.ofMillis(50)))
          .isInstanceOf(TimeoutException.class)
          .hasMessageMatching("127\\.0\\.0\\.1:\\d+ did not answer within 0\\.1 s|.* 0\\.05 s");
      assertThat(ends.source().isOpen()).isTrue();
      ends.target().sendFrame(Wire.frame(1, 10));
      assertThatThrownBy(() -> ends.source().receive(Wire.SOON))
          .isInstanceOf(ProtocolException.class);
    }
  }

  @Test
  void aListenerThatFailsEndsTheChannelWithItsCause() throws Exception {
    try (Wire wire = new Wire(plain());
        Wire.Ends ends = wire.join()) {
      CollectingListener listener = new CollectingListener();
      listener.failWith(new IOException("no space left on device"));
      for (int i = 0; i < 10; i++) {
        ends.source().sendFrame(Wire.frame(i, 100));
      }
      // Not before: the first of them ends the channel, and the others could not be sent.
      ends.target().listen(listener);
      await().atMost(Wire.SOON).until(() -> listener.closed() == 1);
      assertThat(listener.cause()).hasMessage("no space left on device");
      assertThat(listener.frames()).isEqualTo(1);
      assertThatThrownBy(() -> ends.source().receive(Wire.SOON))
          .isInstanceOf(PeerLostException.class);
    }
    await().atMost(Wire.SOON).until(() -> TestMemory.pinned() == 0);
  }

  @Test
  void connectingNamesWhatIsWrong() throws Exception {
    int port;
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = socket.getLocalPort();
    }
    try (PeerConnector connector = new PeerConnector(plain())) {
      PeerLostException refused =
          catchThrowableOfType(
              PeerLostException.class,
              () ->
                  connector.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port)));
      assertThat(refused)
          .hasMessage("localhost:" + port + " refused the connection: nothing listens there");
      assertThat(refused.kind()).isEqualTo(Kind.UNREACHABLE);
      PeerLostException unknown =
          catchThrowableOfType(
              PeerLostException.class,
              () ->
                  connector.connect(
                      InetSocketAddress.createUnresolved("no-such-host.invalid", 7777)));
      assertThat(unknown).hasMessage("host no-such-host.invalid is not known here");
      assertThat(unknown.kind()).isEqualTo(Kind.HOST_UNKNOWN);
    }
  }

  @Test
  void aPortThatIsTakenIsSaid() throws Exception {
    try (Wire wire = new Wire(plain());
        PeerAcceptor second = new PeerAcceptor(plain())) {
      assertThatThrownBy(() -> second.bind(wire.address, PeerChannel::close))
          .isInstanceOf(IOException.class)
          .hasMessageMatching("cannot listen on .*:" + wire.address.getPort() + ": .*in use.*");
    }
  }

  private static boolean isStill(AtomicInteger counter) throws InterruptedException {
    int before = counter.get();
    return !new CountDownLatch(1).await(50, TimeUnit.MILLISECONDS) && counter.get() == before;
  }

  private static void sendAll(PeerChannel channel, int count, AtomicInteger sent) {
    try {
      for (int i = 0; i < count; i++) {
        channel.sendFrame(Wire.frame(i, LARGE));
        sent.incrementAndGet();
      }
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static FutureTask<Throwable> endlessSender(PeerChannel channel) {
    return new FutureTask<>(
        () -> {
          try {
            while (true) {
              channel.sendFrame(Wire.frame(1, LARGE));
            }
          } catch (PeerLostException | InterruptedException e) {
            return e;
          }
        });
  }
}
