package io.pageferry.protocol.channel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.unix.FileDescriptor;
import io.pageferry.protocol.frame.Frame;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.pki.TestAuthority;
import io.pageferry.protocol.tls.TlsContexts;
import io.pageferry.protocol.tls.TlsEngineKind;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.jspecify.annotations.NullMarked;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What is urgent waits for nothing, and what it might have to wait for stays small. */
@NullMarked
@Timeout(180)
final class UrgentFrameTest {
  private static final int LARGE = FrameHeader.MAX_PAYLOAD;
  private static final int PAGE = 4096;
  private static final PageRequest REQUEST = new PageRequest(0, new long[] {7});

  @TempDir Path directory;

  /** io_uring takes what is flushed at the end of the loop's turn, the others within the call. */
  static Stream<Transport> immediate() {
    return Stream.of(Transport.EPOLL, Transport.NIO).filter(Transport::available);
  }

  static Stream<Transport> all() {
    return Stream.of(Transport.EPOLL, Transport.IO_URING, Transport.NIO)
        .filter(Transport::available);
  }

  @ParameterizedTest
  @MethodSource("immediate")
  void aFrameSentOnTheEventLoopIsOutBeforeTheLoopTurns(Transport transport) throws Exception {
    answerWhileTheLoopStandsStill(new Wire(TransportSettings.plaintext().withTransport(transport)));
  }

  @ParameterizedTest
  @EnumSource(TlsEngineKind.class)
  void soItIsUnderTls(TlsEngineKind engine) throws Exception {
    TestAuthority authority = new TestAuthority(directory.resolve("ca"));
    answerWhileTheLoopStandsStill(
        new Wire(
            TransportSettings.tls(TlsContexts.server(authority.agent("target"), engine)),
            TransportSettings.tls(TlsContexts.client(authority.agent("source"), engine))));
  }

  /**
   * The answering side's event loop is held until its answer has arrived: a hop would never end.
   */
  private static void answerWhileTheLoopStandsStill(Wire made) throws Exception {
    try (Wire wire = made;
        Wire.Ends ends = wire.join()) {
      CountDownLatch arrived = new CountDownLatch(1);
      CountDownLatch held = new CountDownLatch(1);
      ends.source()
          .listen(
              new Answering() {
                @Override
                void request(PeerChannel channel) throws InterruptedException {
                  channel.sendNow(Wire.frame(0, PAGE));
                  if (arrived.await(Wire.SOON.toSeconds(), TimeUnit.SECONDS)) {
                    held.countDown();
                  }
                }
              });
      CollectingListener landing = new CollectingListener();
      ends.target().listen(landing);
      ends.target().send(REQUEST);
      await().atMost(Wire.SOON).until(() -> landing.frames() == 1);
      arrived.countDown();
      assertThat(held.await(Wire.SOON.toSeconds(), TimeUnit.SECONDS)).isTrue();
      assertThat(landing.intact(i -> PAGE)).isTrue();
    }
  }

  @Test
  void theLoopServesADescriptorBesidesItsSocketsForAsLongAsTheChannelLasts() throws Exception {
    assumeTrue(Transport.EPOLL.available());
    FileDescriptor[] pipe = FileDescriptor.pipe();
    CountDownLatch ended = new CountDownLatch(1);
    try (Wire wire = new Wire(TransportSettings.plaintext().withTransport(Transport.EPOLL))) {
      AtomicInteger asked = new AtomicInteger();
      try (Wire.Ends ends = wire.join()) {
        ends.source()
            .listen(
                new Answering() {
                  @Override
                  void request(PeerChannel channel) {
                    asked.incrementAndGet();
                  }
                });
        ByteBuffer one = ByteBuffer.allocateDirect(1);
        ends.target()
            .watch(
                pipe[0].intValue(),
                () -> {
                  readOne(pipe[0], one.clear());
                  ends.target().ask(REQUEST);
                  return true;
                },
                ended::countDown);
        ByteBuffer some = ByteBuffer.allocateDirect(3);
        assertThat(pipe[1].write(some, 0, 3)).isEqualTo(3);
        await().atMost(Wire.SOON).until(() -> asked.get() == 3);
        assertThat(ended.getCount()).isOne();
      }
      assertThat(ended.await(Wire.SOON.toSeconds(), TimeUnit.SECONDS)).isTrue();
    } finally {
      pipe[0].close();
      pipe[1].close();
    }
  }

  private static void readOne(FileDescriptor from, ByteBuffer to) {
    try {
      assertThat(from.read(to, 0, 1)).isOne();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void aWatchEndsWhenItIsToldToOrHasNothingMoreToServe() throws Exception {
    assumeTrue(Transport.EPOLL.available());
    FileDescriptor[] pipe = FileDescriptor.pipe();
    try (Wire wire = new Wire(TransportSettings.plaintext().withTransport(Transport.EPOLL));
        Wire.Ends ends = wire.join()) {
      CountDownLatch cancelled = new CountDownLatch(1);
      ends.target().watch(pipe[0].intValue(), () -> true, cancelled::countDown).run();
      assertThat(cancelled.await(Wire.SOON.toSeconds(), TimeUnit.SECONDS)).isTrue();
      CountDownLatch served = new CountDownLatch(1);
      assertThat(pipe[1].write(ByteBuffer.allocateDirect(1), 0, 1)).isOne();
      ends.target().watch(pipe[0].intValue(), () -> false, served::countDown);
      assertThat(served.await(Wire.SOON.toSeconds(), TimeUnit.SECONDS)).isTrue();
    } finally {
      pipe[0].close();
      pipe[1].close();
    }
  }

  @Test
  void withoutEpollNothingIsWatched() throws Exception {
    try (Wire wire = new Wire(TransportSettings.plaintext().withTransport(Transport.NIO));
        Wire.Ends ends = wire.join()) {
      CountDownLatch ended = new CountDownLatch(1);
      ends.target().watch(0, () -> true, ended::countDown).run();
      assertThat(ended.getCount()).isZero();
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void sendingNowNeverBlocksAndTheListenerHearsWhenThereIsRoomAgain(Transport transport)
      throws Exception {
    try (Wire wire = new Wire(TransportSettings.plaintext().withTransport(transport));
        Wire.Ends ends = wire.join()) {
      AtomicInteger roomAgain = new AtomicInteger();
      AtomicInteger sent = new AtomicInteger();
      CountDownLatch full = new CountDownLatch(1);
      ends.source()
          .listen(
              new Answering() {
                @Override
                void request(PeerChannel channel) {
                  while (channel.isWritable()) {
                    channel.sendNow(Wire.frame(sent.getAndIncrement(), LARGE));
                  }
                  // Beyond the mark it still takes what it is given.
                  channel.sendNow(Wire.frame(sent.getAndIncrement(), LARGE));
                  full.countDown();
                }

                @Override
                public void onWritable(PeerChannel channel) {
                  assertThat(channel.isWritable()).isTrue();
                  roomAgain.incrementAndGet();
                }
              });
      CountDownLatch goOn = new CountDownLatch(1);
      CollectingListener landing = new CollectingListener(goOn);
      ends.target().listen(landing);
      ends.target().send(REQUEST);
      assertThat(full.await(Wire.SOON.toSeconds(), TimeUnit.SECONDS)).isTrue();
      goOn.countDown();
      await().atMost(Wire.SOON).until(() -> landing.frames() == sent.get());
      await().atMost(Wire.SOON).until(() -> roomAgain.get() >= 1);
      assertThat(landing.intact(i -> LARGE)).isTrue();
    }
    await().atMost(Wire.SOON).until(() -> TestMemory.pinned() == 0);
  }

  @Test
  void aListenerThatFailsWhenThereIsRoomEndsTheChannel() throws Exception {
    try (Wire wire = new Wire(TransportSettings.plaintext());
        Wire.Ends ends = wire.join()) {
      CountDownLatch full = new CountDownLatch(1);
      CountDownLatch closed = new CountDownLatch(1);
      ends.source()
          .listen(
              new Answering() {
                @Override
                void request(PeerChannel channel) {
                  for (int i = 0; channel.isWritable(); i++) {
                    channel.sendNow(Wire.frame(i, LARGE));
                  }
                  full.countDown();
                }

                @Override
                public void onWritable(PeerChannel channel) {
                  throw new IllegalStateException("nothing left to send");
                }

                @Override
                public void onClosed(PeerChannel channel, @Nullable Throwable cause) {
                  if (cause instanceof IllegalStateException) {
                    closed.countDown();
                  }
                }
              });
      CountDownLatch goOn = new CountDownLatch(1);
      ends.target().listen(new CollectingListener(goOn));
      ends.target().send(REQUEST);
      assertThat(full.await(Wire.SOON.toSeconds(), TimeUnit.SECONDS)).isTrue();
      goOn.countDown();
      assertThat(closed.await(Wire.SOON.toSeconds(), TimeUnit.SECONDS)).isTrue();
      assertThat(ends.source().isOpen()).isFalse();
    }
  }

  @Test
  void aFrameForAChannelThatHasEndedIsDropped() throws Exception {
    try (Wire wire = new Wire(TransportSettings.plaintext());
        Wire.Ends ends = wire.join()) {
      ends.source().close();
      ends.source().sendNow(Wire.frame(1, LARGE));
    }
    await().atMost(Wire.SOON).until(() -> TestMemory.pinned() == 0);
  }

  @Test
  void aBulkChannelThatKeepsItsUnsentSmallHoldsLittleBack() throws Exception {
    TestMemory.awaitNone();
    int frame = 16 << 10;
    try (ServerSocket silent = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        PeerConnector connector = new PeerConnector(TransportSettings.plaintext());
        PeerChannel bulk = connector.connect((InetSocketAddress) silent.getLocalSocketAddress());
        Socket peer = silent.accept()) {
      assertThat(peer.isConnected()).isTrue();
      bulk.keepUnsentSmall();
      for (int i = 0; bulk.isWritable(); i++) {
        bulk.sendNow(Wire.frame(i, frame));
        // What is handed over from this thread counts only when the event loop has taken it.
        int inFlight = i;
        await()
            .pollInterval(Duration.ofMillis(1))
            .atMost(Wire.SOON)
            .until(() -> bulk.bytesSent() > (long) inFlight * frame);
      }
      assertThat(TestMemory.pinned())
          .isBetween((long) SocketUrgency.SMALL_UNSENT, 2L * SocketUrgency.SMALL_UNSENT);
    }
  }

  @ParameterizedTest
  @MethodSource("all")
  void theKernelIsToldWhatIsUrgent(Transport transport) throws Exception {
    EventLoops loops = new EventLoops(1, "urgent-test", transport, ThreadUrgency.NONE);
    try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      Channel channel =
          new Bootstrap()
              .group(loops)
              .channel(transport.socketChannel())
              .handler(new ChannelInboundHandlerAdapter())
              .connect(server.getLocalSocketAddress())
              .sync()
              .channel();
      SocketUrgency.first(channel);
      SocketUrgency.keepUnsentSmall(channel);
      assertThat(channel.config().getOption(ChannelOption.IP_TOS))
          .isEqualTo(SocketUrgency.LOW_DELAY);
      if (transport != Transport.NIO) {
        assertThat(channel.config().getOption(SocketUrgency.PRIORITY))
            .isEqualTo(SocketUrgency.INTERACTIVE);
        assertThat(channel.config().getOption(SocketUrgency.UNSENT))
            .isEqualTo(SocketUrgency.SMALL_UNSENT);
      }
      channel.close().sync();
    } finally {
      loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).await(5, TimeUnit.SECONDS);
    }
  }

  /** Answers each frame in a way of its own. */
  private abstract static class Answering implements FrameListener {
    abstract void request(PeerChannel channel) throws InterruptedException;

    @Override
    public void onFrame(PeerChannel channel, Frame frame) throws InterruptedException {
      frame.release();
      request(channel);
    }

    @Override
    public void onClosed(PeerChannel channel, @Nullable Throwable cause) {}
  }
}
