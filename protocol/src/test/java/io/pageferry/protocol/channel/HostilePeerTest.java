package io.pageferry.protocol.channel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.awaitility.Awaitility.await;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.pageferry.protocol.channel.PeerLostException.Kind;
import io.pageferry.protocol.frame.FrameEncoder;
import io.pageferry.protocol.message.KeepAlive;
import io.pageferry.protocol.message.Progress;
import io.pageferry.protocol.pki.TestAuthority;
import io.pageferry.protocol.tls.TlsContexts;
import io.pageferry.protocol.tls.TlsEngineKind;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Peers that are none of ours: a raw socket plays them. */
@NullMarked
@Timeout(180)
@SuppressWarnings("try") // some tests close a socket in the middle, on purpose
final class HostilePeerTest {
  private static final Duration SHORT = Duration.ofMillis(400);

  @TempDir Path directory;

  private static TransportSettings plain() {
    return TransportSettings.plaintext();
  }

  private TransportSettings tlsServer() throws IOException {
    TestAuthority authority = new TestAuthority(directory.resolve("pki"));
    return TransportSettings.tls(
        TlsContexts.server(authority.agent("target"), TlsEngineKind.BORINGSSL));
  }

  private static byte[] bytes(Object message) {
    ByteBuf frame =
        FrameEncoder.frame(
            (io.pageferry.protocol.message.Message) message, UnpooledByteBufAllocator.DEFAULT);
    try {
      return ByteBufUtil.getBytes(frame);
    } finally {
      frame.release();
    }
  }

  private static Socket dial(Wire wire) throws IOException {
    Socket socket = new Socket(wire.address.getAddress(), wire.address.getPort());
    socket.setSoTimeout(60_000);
    socket.setTcpNoDelay(true);
    return socket;
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void framesInRandomPiecesOverARealSocketArriveWhole(long seed) throws Exception {
    Random random = new Random(seed);
    try (Wire wire = new Wire(plain());
        Socket socket = dial(wire)) {
      ByteBuf stream = Unpooled.buffer();
      int count = 60;
      stream.writeBytes(bytes(new Progress(0)));
      List<Integer> lengths = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        int length = random.nextInt(40_000);
        lengths.add(length);
        ByteBuf frame = Wire.frame(i, length);
        stream.writeBytes(frame);
        frame.release();
      }
      CollectingListener listener = new CollectingListener();
      OutputStream out = socket.getOutputStream();
      out.write(ByteBufUtil.getBytes(stream.readSlice(24)));
      PeerChannel target = wire.accepted();
      assertThat(target.receive(Wire.SOON)).isEqualTo(new Progress(0));
      target.listen(listener);
      while (stream.isReadable()) {
        int piece = 1 + random.nextInt(random.nextInt(10) == 0 ? 20_000 : 40);
        out.write(ByteBufUtil.getBytes(stream.readSlice(Math.min(piece, stream.readableBytes()))));
      }
      await().atMost(Wire.SOON).until(() -> listener.frames() == count);
      assertThat(listener.intact(lengths::get)).isTrue();
      target.close();
    }
  }

  @Test
  void garbageIsNamedAndNeverHandedOut() throws Exception {
    try (CapturedLog log = new CapturedLog(PeerAcceptor.class);
        Wire wire = new Wire(plain());
        Socket socket = dial(wire)) {
      socket
          .getOutputStream()
          .write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
      assertThat(socket.getInputStream().read()).isEqualTo(-1);
      await().atMost(Wire.SOON).until(() -> !log.lines().isEmpty());
      assertThat(log.lines().get(0))
          .matches("127\\.0\\.0\\.1:\\d+ broke the protocol: a frame header is damaged.*");
      assertThat(wire.accepted).isEmpty();
    }
  }

  @Test
  void anOversizedLengthEndsTheChannelBeforeAnythingIsAllocated() throws Exception {
    try (Wire wire = new Wire(plain());
        Socket socket = dial(wire)) {
      socket.getOutputStream().write(bytes(new Progress(1)));
      PeerChannel target = wire.accepted();
      target.receive(Wire.SOON);
      ByteBuf header = Unpooled.buffer(16);
      header.writeIntLE(0x7FFF_FFFF).writeByte(5).writeByte(0).writeShortLE(0).writeIntLE(0);
      CRC32C crc = new CRC32C();
      crc.update(header.array(), 0, 12);
      header.writeIntLE((int) crc.getValue());
      socket.getOutputStream().write(header.array());
      PeerLostException lost =
          catchThrowableOfType(PeerLostException.class, () -> target.receive(Wire.SOON));
      assertThat(lost).hasMessageContaining("broke the protocol: a frame of 2147483647 bytes");
      assertThat(lost.kind()).isEqualTo(Kind.PROTOCOL);
      target.close();
      await().atMost(Wire.SOON).until(() -> TestMemory.pinned() == 0);
    }
  }

  @ParameterizedTest
  @EnumSource(Silence.class)
  void whoeverDoesNotSayWhoHeIsIsCutOffAtTheHandshakeTimeout(Silence silence) throws Exception {
    TransportSettings settings = silence.tls ? tlsServer() : plain();
    try (CapturedLog log = new CapturedLog(PeerAcceptor.class);
        Wire wire = new Wire(settings.withTimeouts(SHORT, SHORT), plain());
        Socket socket = dial(wire)) {
      OutputStream out = socket.getOutputStream();
      Thread talking =
          Thread.ofVirtual()
              .start(
                  () -> {
                    try {
                      silence.talk(out);
                    } catch (IOException e) {
                      // cut off, as it should be
                    }
                  });
      await().atMost(Wire.SOON).until(() -> !log.lines().isEmpty());
      assertThat(log.lines().get(0)).startsWith("127.0.0.1:").contains("within 0.4 s");
      assertThat(wire.accepted).isEmpty();
      socket.close();
      talking.join();
    }
  }

  /** Ways to occupy a port without saying anything. */
  enum Silence {
    NOTHING(false) {
      @Override
      void talk(OutputStream out) {}
    },
    NOTHING_IN_TLS(true) {
      @Override
      void talk(OutputStream out) {}
    },
    DROP_BY_DROP(false) {
      @Override
      void talk(OutputStream out) throws IOException {
        byte[] frame = bytes(new Progress(1));
        for (int i = 0; i < frame.length - 1; i++) {
          out.write(frame[i]);
        }
      }
    },
    ONLY_KEEP_ALIVES(false) {
      @Override
      void talk(OutputStream out) throws IOException {
        while (true) {
          out.write(bytes(new KeepAlive(1)));
        }
      }
    };

    final boolean tls;

    Silence(boolean tls) {
      this.tls = tls;
    }

    abstract void talk(OutputStream out) throws IOException;
  }

  @Test
  void strangersBeyondTheLimitDisplaceOneOfThem() throws Exception {
    try (CapturedLog log = new CapturedLog(PeerAcceptor.class);
        Wire wire = new Wire(plain().withMaxHandshakes(2).withTimeouts(SHORT, Wire.SOON), plain());
        Socket first = dial(wire);
        Socket second = dial(wire);
        Socket third = dial(wire)) {
      await().atMost(Wire.SOON).until(() -> !log.lines().isEmpty());
      String line = log.lines().get(0);
      assertThat(line).endsWith("made room for another: 2 connections have not said who they are");
      // They come on event loops of their own, so any of the three may be the oldest.
      Socket displaced =
          Stream.of(first, second, third)
              .filter(socket -> line.startsWith("127.0.0.1:" + socket.getLocalPort() + " "))
              .findAny()
              .orElseThrow();
      displaced.getInputStream().transferTo(OutputStream.nullOutputStream());
    }
  }

  @Test
  void silentSocketsWithoutACertificateKeepNobodyOut() throws Exception {
    TestAuthority authority = new TestAuthority(directory.resolve("pki"));
    TransportSettings server =
        TransportSettings.tls(
            TlsContexts.server(authority.agent("target"), TlsEngineKind.BORINGSSL));
    TransportSettings client =
        TransportSettings.tls(
            TlsContexts.client(authority.agent("source"), TlsEngineKind.BORINGSSL));
    List<Socket> idle = new ArrayList<>();
    try (Wire wire = new Wire(server.withTimeouts(SHORT, Duration.ofSeconds(50)), client)) {
      for (int i = 0; i < 80; i++) {
        idle.add(dial(wire));
      }
      wire.join().close();
    } finally {
      for (Socket socket : idle) {
        socket.close();
      }
    }
  }

  @Test
  void aResetIsCalledOne() throws Exception {
    try (Wire wire = new Wire(plain());
        Socket socket = dial(wire)) {
      socket.getOutputStream().write(bytes(new Progress(1)));
      PeerChannel target = wire.accepted();
      target.receive(Wire.SOON);
      socket.setSoLinger(true, 0);
      int port = socket.getLocalPort();
      socket.close();
      assertThatThrownBy(() -> target.receive(Wire.SOON))
          .isInstanceOf(PeerLostException.class)
          .hasMessage("the connection to 127.0.0.1:" + port + " was reset");
      target.close();
    }
  }

  @Test
  void aPeerThatFallsSilentIsLostAfterTheLimit() throws Exception {
    TransportSettings settings =
        plain().withKeepAlive(Duration.ofMillis(100), Duration.ofMillis(500));
    try (ServerSocket mute = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
        PeerConnector connector = new PeerConnector(settings);
        PeerChannel source =
            connector.connect(
                new InetSocketAddress(InetAddress.getLoopbackAddress(), mute.getLocalPort()))) {
      long start = System.nanoTime();
      PeerLostException lost =
          catchThrowableOfType(PeerLostException.class, () -> source.receive(Wire.SOON));
      assertThat(lost)
          .hasMessage("nothing heard from localhost:" + mute.getLocalPort() + " for 0.5 s");
      assertThat(lost.kind()).isEqualTo(Kind.SILENT);
      assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(20));
    }
  }

  @Test
  void aPeerThatFloodsIsCutOff() throws Exception {
    TestMemory.awaitNone();
    try (Wire wire = new Wire(plain());
        Socket socket = dial(wire)) {
      byte[] many = new byte[24 * 20_000];
      byte[] one = bytes(new Progress(1));
      for (int at = 0; at < many.length; at += one.length) {
        System.arraycopy(one, 0, many, at, one.length);
      }
      Thread.ofVirtual().start(() -> writeForEver(socket, many));
      PeerChannel target = wire.accepted();
      // Nobody reads, so the peer waits or is cut off; either way nothing piles up here.
      await()
          .during(Duration.ofMillis(500))
          .atMost(Wire.SOON)
          .until(() -> TestMemory.pinned() < 8 << 20);
      target.close();
    }
    await().atMost(Wire.SOON).until(() -> TestMemory.pinned() == 0);
  }

  private static void writeForEver(Socket socket, byte[] bytes) {
    try {
      while (true) {
        socket.getOutputStream().write(bytes);
      }
    } catch (IOException e) {
      // cut off, as it should be
    }
  }

  @Test
  void aPlainPeerAtATlsPortIsToldApart() throws Exception {
    try (CapturedLog log = new CapturedLog(PeerAcceptor.class);
        Wire wire = new Wire(tlsServer(), plain());
        PeerChannel source = wire.connector.connect(wire.address)) {
      source.send(new Progress(1));
      assertThatThrownBy(() -> source.receive(Wire.SOON))
          .isInstanceOf(PeerLostException.class)
          .hasMessageContaining("this side was told to use plaintext");
      await().atMost(Wire.SOON).until(() -> !log.lines().isEmpty());
      assertThat(log.lines().get(0))
          .contains("does not speak TLS: it may have been told to use plaintext");
    }
  }

  @Test
  void aTlsPeerAtAPlainPortIsToldApart() throws Exception {
    TestAuthority authority = new TestAuthority(directory.resolve("pki"));
    TransportSettings client =
        TransportSettings.tls(
            TlsContexts.client(authority.agent("source"), TlsEngineKind.BORINGSSL));
    try (CapturedLog log = new CapturedLog(PeerAcceptor.class);
        Wire wire = new Wire(plain(), client)) {
      PeerLostException lost =
          catchThrowableOfType(PeerLostException.class, () -> wire.connector.connect(wire.address));
      assertThat(lost).hasMessageContaining("closed the connection during the TLS handshake");
      assertThat(lost.kind()).isEqualTo(Kind.TLS_REFUSED);
      await().atMost(Wire.SOON).until(() -> !log.lines().isEmpty());
      assertThat(log.lines().get(0))
          .contains("speaks TLS, but this side was told to use plaintext");
    }
  }

  @Test
  void thousandsOfConnectionsLeaveNothingBehind() throws Exception {
    try (Wire wire = new Wire(plain())) {
      for (int i = 0; i < 3000; i++) {
        try (Wire.Ends ends = wire.join()) {
          assertThat(ends.target().isOpen()).isTrue();
        }
      }
      await().atMost(Wire.SOON).until(() -> TestMemory.pinned() == 0);
    }
  }
}
