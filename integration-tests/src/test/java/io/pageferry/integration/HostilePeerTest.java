package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.Departure;
import io.pageferry.integration.process.DescriptionFile;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.RunningProcess.Terminal;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.protocol.frame.Crc32c;
import io.pageferry.protocol.frame.FrameEncoder;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.VersionRange;
import io.pageferry.protocol.message.Welcome;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Peers that speak garbage, lie about lengths, say things out of order, or say nothing. */
@ExtendWith(Hosts.Shared.class)
final class HostilePeerTest {
  /** The longest that either agent waits for a peer that says nothing, and some. */
  private static final int PATIENCE_MILLIS = 60_000;

  /** What comes over the wire. */
  enum Words {
    NOISE {
      @Override
      byte[] bytes() {
        byte[] noise = new byte[4096];
        new Random(42).nextBytes(noise);
        return noise;
      }
    },
    A_WEB_REQUEST {
      @Override
      byte[] bytes() {
        return "GET / HTTP/1.1\r\nHost: here\r\n\r\n".getBytes(StandardCharsets.US_ASCII);
      }
    },
    AN_OVERSIZED_LENGTH {
      @Override
      byte[] bytes() {
        byte[] header = header(FrameType.HELLO, 1 << 20);
        // 2 GiB less one, with the header's own checksum made right again.
        ByteBuf frame = Unpooled.wrappedBuffer(header);
        frame.setIntLE(0, Integer.MAX_VALUE);
        frame.setIntLE(12, Crc32c.of(frame, 0, 12));
        return header;
      }
    },
    A_DAMAGED_HEADER {
      @Override
      byte[] bytes() {
        byte[] bytes = of(hello(VersionRange.CURRENT));
        bytes[1] ^= 1;
        return bytes;
      }
    },
    A_DAMAGED_PAYLOAD {
      @Override
      byte[] bytes() {
        byte[] bytes = of(hello(VersionRange.CURRENT));
        bytes[FrameHeader.BYTES + 5] ^= 1;
        return bytes;
      }
    },
    A_VERSION_OF_THE_FUTURE {
      @Override
      byte[] bytes() {
        return of(hello(new VersionRange(90, 99)));
      }
    },
    A_COMMIT_FIRST {
      @Override
      byte[] bytes() {
        return of(new Commit());
      }
    },
    A_ROUND_WITHOUT_AN_OFFER {
      @Override
      byte[] bytes() {
        return join(of(hello(VersionRange.CURRENT)), of(new RoundBegin(1, false, 1)));
      }
    },
    HALF_A_HEADER {
      @Override
      byte[] bytes() {
        return Arrays.copyOf(of(hello(VersionRange.CURRENT)), 7);
      }
    },
    NOTHING {
      @Override
      byte[] bytes() {
        return new byte[0];
      }
    };

    abstract byte[] bytes();
  }

  private static Hello hello(VersionRange versions) {
    return new Hello(
        versions,
        ChannelRole.CONTROL,
        Capabilities.CURRENT,
        Limits.CURRENT,
        "a stranger",
        Hello.NO_MIGRATION,
        new byte[0],
        0);
  }

  private static byte[] of(Message message) {
    ByteBuf frame = FrameEncoder.frame(message, UnpooledByteBufAllocator.DEFAULT);
    byte[] bytes = new byte[frame.readableBytes()];
    frame.readBytes(bytes).release();
    return bytes;
  }

  private static byte[] header(FrameType type, int length) {
    byte[] header = new byte[FrameHeader.BYTES];
    FrameHeader.write(Unpooled.wrappedBuffer(header), 0, type, length, 0);
    return header;
  }

  private static byte[] join(byte[] first, byte[] second) {
    byte[] both = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, both, first.length, second.length);
    return both;
  }

  @ParameterizedTest
  @EnumSource(
      value = Words.class,
      mode = EnumSource.Mode.EXCLUDE,
      names = {"HALF_A_HEADER", "NOTHING"})
  void aTargetHangsUpOnASourceThatSays(Words words, Hosts hosts) throws Exception {
    TargetHost target = hosts.target(PeerSecurity.plaintext());
    assertHangsUp(target, words.bytes());
    assertThat(target.agent().isAlive()).isTrue();
  }

  @ParameterizedTest
  @EnumSource(
      value = Words.class,
      names = {"NOISE", "A_COMMIT_FIRST"})
  void aTargetBehindTlsHangsUpOnASourceThatSays(Words words, Hosts hosts) throws Exception {
    TargetHost target = hosts.target();
    assertHangsUp(target, words.bytes());
    assertThat(target.agent().isAlive()).isTrue();
  }

  /** All at once, because each of them is waited for. */
  @Test
  void aTargetHangsUpOnSourcesThatDoNotGoOn(Hosts hosts) throws Exception {
    List<Socket> sources = new ArrayList<>();
    try {
      for (TargetHost target : List.of(hosts.target(PeerSecurity.plaintext()), hosts.target())) {
        for (Words words : List.of(Words.HALF_A_HEADER, Words.NOTHING)) {
          Socket source = connect(target);
          sources.add(source);
          source.getOutputStream().write(words.bytes());
        }
      }
      for (Socket source : sources) {
        assertHungUp(source);
      }
      assertThat(hosts.target().agent().isAlive()).isTrue();
    } finally {
      for (Socket source : sources) {
        source.close();
      }
    }
  }

  @Test
  void aTargetServesOnAfterManyOfThem(Hosts hosts) throws Exception {
    TargetHost target = hosts.target(PeerSecurity.plaintext());
    for (int peer = 0; peer < 50; peer++) {
      try (Socket socket = connect(target)) {
        socket.getOutputStream().write(Words.NOISE.bytes());
      } catch (SocketException hungUp) {
        assertThat(hungUp).hasMessageMatching("(?i).*(reset|broken).*");
      }
    }
    DemoGuest guest = hosts.source().startGuest(Journey.small(hosts)).awaitReady();
    Journey.begin(hosts, guest, PeerSecurity.plaintext(), null).assertArrived();
  }

  private static Socket connect(TargetHost target) throws IOException {
    Socket socket = new Socket();
    socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), target.port()));
    socket.setSoTimeout(PATIENCE_MILLIS);
    return socket;
  }

  private static void assertHangsUp(TargetHost target, byte[] words) throws IOException {
    try (Socket socket = connect(target)) {
      socket.getOutputStream().write(words);
      assertHungUp(socket);
    } catch (SocketException reset) {
      assertThat(reset).hasMessageMatching("(?i).*(reset|broken).*");
    }
  }

  private static void assertHungUp(Socket socket) throws IOException {
    try {
      byte[] said = socket.getInputStream().readAllBytes();
      // A greeting and a reason at most; never a loop of answers.
      assertThat(said.length)
          .describedAs(HexFormat.of().formatHex(said, 0, Math.min(said.length, 64)))
          .isLessThan(4096);
    } catch (SocketException reset) {
      assertThat(reset).hasMessageMatching("(?i).*(reset|broken).*");
    }
  }

  /** What a false target does with a source. */
  enum Manners {
    NOISE(1, "broke the protocol") {
      @Override
      void treat(Socket source) throws IOException {
        source.getOutputStream().write(Words.NOISE.bytes());
        assertThat(source.getInputStream().readAllBytes()).isNotNull();
      }
    },
    AN_OVERSIZED_LENGTH(1, "a frame of 2147483647 bytes") {
      @Override
      void treat(Socket source) throws IOException {
        source.getOutputStream().write(Words.AN_OVERSIZED_LENGTH.bytes());
        assertThat(source.getInputStream().readAllBytes()).isNotNull();
      }
    },
    HANGS_UP(1, "connection") {
      @Override
      void treat(Socket source) {
        // Closing is all it does.
      }
    },
    SAYS_NOTHING(1, "127.0.0.1:") {
      @Override
      void treat(Socket source) throws IOException {
        assertThat(source.getInputStream().readAllBytes()).isNotEmpty();
      }
    },
    SPEAKS_ANOTHER_VERSION(3, "speaks 7 to 8") {
      @Override
      void treat(Socket source) throws IOException {
        source
            .getOutputStream()
            .write(of(new Abort(AbortReason.VERSION_MISMATCH, "this side speaks 7 to 8")));
        assertThat(source.getInputStream().readAllBytes()).isNotEmpty();
      }
    },
    CHOOSES_A_VERSION_THAT_WAS_NOT_OFFERED(1, "broke the protocol") {
      @Override
      void treat(Socket source) throws IOException {
        source
            .getOutputStream()
            .write(of(new Welcome(77, Capabilities.CURRENT, Limits.CURRENT, "a stranger")));
        assertThat(source.getInputStream().readAllBytes()).isNotEmpty();
      }
    },
    OUT_OF_ORDER(1, "broke the protocol") {
      @Override
      void treat(Socket source) throws IOException {
        source
            .getOutputStream()
            .write(
                join(
                    of(new Welcome(1, Capabilities.CURRENT, Limits.CURRENT, "a stranger")),
                    of(new RoundLanded(1, 1))));
        assertThat(source.getInputStream().readAllBytes()).isNotEmpty();
      }
    };

    private final int exit;

    /** Of the sentence that the source ends with. */
    private final String said;

    Manners(int exit, String said) {
      this.exit = exit;
      this.said = said;
    }

    abstract void treat(Socket source) throws IOException;
  }

  @ParameterizedTest
  @EnumSource(Manners.class)
  void aSourceGivesUpOnATargetThat(Manners manners, Hosts hosts) throws Exception {
    SourceHost source = hosts.source();
    DemoGuest guest = source.startGuest(Journey.small(hosts)).awaitReady();
    try (ServerSocket server = new ServerSocket(0, 5, InetAddress.getLoopbackAddress())) {
      Thread.ofPlatform()
          .daemon()
          .start(
              () -> {
                try (Socket peer = server.accept()) {
                  peer.setSoTimeout(PATIENCE_MILLIS);
                  manners.treat(peer);
                } catch (IOException hungUp) {
                  // The source's own words are what is looked at.
                }
              });
      Path description =
          DescriptionFile.ofSource(guest.spec(), source.folder(), source.imageFolder(), null)
              .writeTo(source.folder().resolve(guest.spec().name() + ".yaml"));
      Departure departure =
          source.migrate(
              description,
              "127.0.0.1:" + server.getLocalPort(),
              PeerSecurity.plaintext(),
              List.of(),
              Terminal.DETACHED);
      Journey journey = Journey.observed(source, hosts.target(), guest, departure);
      journey.assertStayed(manners.exit, manners.said, "runs on here");
    }
  }
}
