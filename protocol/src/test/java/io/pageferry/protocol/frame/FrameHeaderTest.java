package io.pageferry.protocol.frame;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.KeepAlive;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class FrameHeaderTest {
  @Test
  void theChecksumIsCrc32c() {
    // RFC 3720, appendix B.4, and the check value of the CRC catalogue.
    assertThat(Crc32c.of(Unpooled.wrappedBuffer(new byte[32]), 0, 32)).isEqualTo(0x8A9136AA);
    ByteBuf digits =
        Unpooled.directBuffer().writeBytes("123456789".getBytes(StandardCharsets.UTF_8));
    assertThat(Crc32c.of(digits, 0, 9)).isEqualTo(0xE3069283);
    ByteBuf parts =
        Unpooled.wrappedBuffer(
            digits.retainedSlice(0, 4), Unpooled.copiedBuffer(digits.slice(4, 5)));
    assertThat(Crc32c.of(parts, 0, 9)).isEqualTo(0xE3069283);
    parts.release();
    digits.release();
  }

  @Test
  void theBytesOfAKeepAliveFrame() {
    ByteBuf frame =
        FrameEncoder.frame(new KeepAlive(0x0102030405060708L), Unpooled.buffer().alloc());
    assertThat(ByteBufUtil.hexDump(frame))
        .isEqualTo(
            "08000000" // payload length 8
                + "10" // KEEP_ALIVE
                + "00" // no flags
                + "0000" // reserved
                + hexLe(bitwiseCrc(frame, 16, 8))
                + hexLe(bitwiseCrc(frame, 0, 12))
                + "0807060504030201");
    frame.release();
  }

  @Test
  void theFramesOfPROTOCOLmd() {
    ByteBuf keepAlive = FrameEncoder.frame(new KeepAlive(1), Unpooled.buffer().alloc());
    assertThat(ByteBufUtil.hexDump(keepAlive))
        .isEqualTo("0800000010000000adcf14c5324102730100000000000000");
    keepAlive.release();
    ByteBuf commit = FrameEncoder.frame(new Commit(), Unpooled.buffer().alloc());
    assertThat(ByteBufUtil.hexDump(commit)).isEqualTo("000000000d00000000000000cd4e7a01");
    commit.release();
  }

  @ParameterizedTest
  @EnumSource(FrameType.class)
  void everyTypeKeepsItsCode(FrameType type) throws ProtocolException {
    assertThat(FrameType.of(type.code())).isEqualTo(type);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 31, 32, 255, -1})
  void otherTypesAreRefused(int code) {
    assertThatThrownBy(() -> FrameType.of(code))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("frame type");
  }

  @Test
  void eachMutatedByteOfAHeaderIsFound() throws ProtocolException {
    ByteBuf frame = Unpooled.buffer(16).writeZero(16);
    FrameHeader.write(frame, 0, FrameType.COMMIT, 0, 0);
    assertThat(FrameHeader.check(frame, 0, FrameHeader.MAX_PAYLOAD)).isEqualTo(FrameType.COMMIT);
    for (int index = 0; index < FrameHeader.BYTES; index++) {
      for (int flip = 1; flip < 256; flip++) {
        ByteBuf mutated = frame.copy();
        mutated.setByte(index, mutated.getByte(index) ^ flip);
        assertThatThrownBy(() -> FrameHeader.check(mutated, 0, FrameHeader.MAX_PAYLOAD))
            .isInstanceOfSatisfying(
                ProtocolException.class,
                e -> assertThat(e.reason()).isEqualTo(AbortReason.CORRUPT_FRAME));
      }
    }
  }

  @Test
  void aSoundHeaderWithForbiddenContentIsAViolation() {
    assertViolation(FrameHeader.LENGTH_OFFSET, FrameHeader.MAX_PAYLOAD + 1, "1048577 bytes");
    assertViolation(FrameHeader.LENGTH_OFFSET, -1, "4294967295 bytes");
    assertViolation(FrameHeader.TYPE_OFFSET, 0, "frame type 0");
    assertViolation(FrameHeader.TYPE_OFFSET, 31, "frame type 31");
    assertViolation(FrameHeader.TYPE_OFFSET, 0x0000_0101, "flags");
    assertViolation(FrameHeader.TYPE_OFFSET, 0x8000_0001, "flags");
  }

  @Test
  void aPayloadThatIsTooLongIsNotWritten() {
    ByteBuf frame = Unpooled.buffer(16).writeZero(16);
    assertThatThrownBy(
            () -> FrameHeader.write(frame, 0, FrameType.PAGES, FrameHeader.MAX_PAYLOAD + 1, 0))
        .isInstanceOf(IllegalArgumentException.class);
  }

  /** Writes a word over a header, gives the header a right checksum, and expects a refusal. */
  private static void assertViolation(int index, int word, String message) {
    ByteBuf header = Unpooled.buffer(16).writeZero(16);
    FrameHeader.write(header, 0, FrameType.HELLO, 0, 0);
    header.setIntLE(index, word);
    header.setIntLE(FrameHeader.HEADER_CRC_OFFSET, Crc32c.of(header, 0, 12));
    assertThatThrownBy(() -> FrameHeader.check(header, 0, FrameHeader.MAX_PAYLOAD))
        .isInstanceOfSatisfying(
            ProtocolException.class,
            e -> assertThat(e.reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION))
        .hasMessageContaining(message);
  }

  /** CRC32C bit by bit, from its definition: reflected polynomial 0x82F63B78. */
  private static int bitwiseCrc(ByteBuf buf, int index, int length) {
    int crc = -1;
    for (int i = index; i < index + length; i++) {
      crc ^= buf.getUnsignedByte(i);
      for (int bit = 0; bit < 8; bit++) {
        crc = (crc >>> 1) ^ ((crc & 1) != 0 ? 0x82F63B78 : 0);
      }
    }
    return ~crc;
  }

  private static String hexLe(int word) {
    return ByteBufUtil.hexDump(Unpooled.buffer(4).writeIntLE(word));
  }
}
