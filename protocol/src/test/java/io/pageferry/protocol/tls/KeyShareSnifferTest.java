package io.pageferry.protocol.tls;

import static org.assertj.core.api.Assertions.assertThat;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** It looks at a peer's first bytes before anything has judged them. */
class KeyShareSnifferTest {
  /** A ServerHello: version, random, no session, cipher suite, one extension with the key share. */
  private static byte[] hello(int group) {
    ByteBuf hello = Unpooled.buffer();
    hello.writeByte(22).writeShort(0x0303).writeShort(54);
    hello.writeByte(2).writeMedium(50).writeShort(0x0303).writeZero(32).writeByte(0);
    hello.writeShort(0x1301).writeByte(0).writeShort(10);
    hello.writeShort(0x33).writeShort(6).writeShort(group).writeShort(2).writeShort(7);
    return ByteBufUtil.getBytes(hello);
  }

  /** The group that it reads; all bytes pass unchanged, however they are split. */
  private static String sniff(byte[] stream, int piece) {
    KeyShareSniffer sniffer = new KeyShareSniffer(true);
    EmbeddedChannel channel = new EmbeddedChannel(sniffer);
    ByteBuf passed = Unpooled.buffer();
    for (int at = 0; at < stream.length; at += piece) {
      int length = Math.min(piece, stream.length - at);
      channel.writeInbound(Unpooled.wrappedBuffer(stream, at, length));
      ByteBuf through = channel.readInbound();
      passed.writeBytes(through);
      through.release();
    }
    channel.finishAndReleaseAll();
    assertThat(ByteBufUtil.getBytes(passed)).isEqualTo(stream);
    assertThat(sniffer.group()).isNotBlank();
    return sniffer.group();
  }

  @Test
  void theGroupIsReadHoweverTheStreamIsSplit() {
    byte[] stream = hello(0x11EC);
    for (int piece = 1; piece <= stream.length; piece++) {
      assertThat(sniff(stream, piece)).isEqualTo("X25519MLKEM768");
    }
    assertThat(sniff(hello(0x7777), 9)).isEqualTo("0x7777");
    assertThat(sniff(Arrays.copyOf(stream, 40), 9)).isEqualTo(KeyShareSniffer.UNKNOWN);
  }

  @FuzzTest(maxDuration = "20s")
  void anyBytesPass(byte[] stream) {
    sniff(stream, 1 + stream.length / 3);
  }

  @Test
  void damagedBytesPass() {
    Random random = new Random(1);
    for (int walk = 0; walk < 5_000; walk++) {
      byte[] stream = hello(0x1D);
      for (int damages = random.nextInt(4); damages >= 0; damages--) {
        stream[random.nextInt(stream.length)] = (byte) random.nextInt();
      }
      sniff(stream, 1 + random.nextInt(30));
    }
  }
}
