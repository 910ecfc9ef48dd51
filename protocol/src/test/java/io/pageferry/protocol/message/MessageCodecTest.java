package io.pageferry.protocol.message;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.MessageSamples.Sample;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;

class MessageCodecTest {
  static final List<Sample> SAMPLES = MessageSamples.all();

  @Test
  void thereIsASampleOfEveryType() {
    Set<FrameType> types = EnumSet.of(FrameType.PAGES);
    SAMPLES.forEach(sample -> types.add(sample.message().type()));
    assertThat(types).containsExactlyInAnyOrder(FrameType.values());
  }

  @ParameterizedTest
  @FieldSource("SAMPLES")
  void everyMessageHasItsGoldenBytes(Sample sample) throws ProtocolException {
    ByteBuf out = Unpooled.buffer();
    MessageCodec.encode(sample.message(), out);
    assertThat(ByteBufUtil.hexDump(out)).isEqualTo(sample.hex());
    Message decoded = decode(sample.message().type(), ByteBufUtil.decodeHexDump(sample.hex()));
    assertThat(decoded).isEqualTo(sample.message());
    assertThat(decoded.hashCode()).isEqualTo(sample.message().hashCode());
  }

  @ParameterizedTest
  @FieldSource("SAMPLES")
  void aMessageThatIsTooShortOrTooLongIsRefused(Sample sample) {
    byte[] bytes = ByteBufUtil.decodeHexDump(sample.hex());
    FrameType type = sample.message().type();
    for (int length = 0; length < bytes.length; length++) {
      byte[] cut = java.util.Arrays.copyOf(bytes, length);
      assertThatThrownBy(() -> decode(type, cut)).isInstanceOf(ProtocolException.class);
    }
    byte[] longer = java.util.Arrays.copyOf(bytes, bytes.length + 1);
    assertThatThrownBy(() -> decode(type, longer))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining(type.name());
  }

  @ParameterizedTest
  @FieldSource("SAMPLES")
  void eachMutatedByteIsRefusedOrIsAnotherMessage(Sample sample) {
    byte[] bytes = ByteBufUtil.decodeHexDump(sample.hex());
    FrameType type = sample.message().type();
    for (int index = 0; index < bytes.length; index++) {
      for (int flip = 1; flip < 256; flip++) {
        byte[] mutated = bytes.clone();
        mutated[index] ^= (byte) flip;
        try {
          Message other = decode(type, mutated);
          // An unknown abort reason is read as INTERNAL, so its bytes are not those that came.
          if (!(other instanceof Abort abort && abort.reason() == AbortReason.INTERNAL)
              && !(other instanceof Abort)) {
            assertThat(other).isNotEqualTo(sample.message());
            ByteBuf again = Unpooled.buffer();
            MessageCodec.encode(other, again);
            assertThat(ByteBufUtil.getBytes(again)).isEqualTo(mutated);
          }
        } catch (ProtocolException e) {
          assertThat(e.reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION);
        }
      }
    }
  }

  @Test
  void randomBytesAreRefusedOrReadButNothingElse() {
    Random random = new Random(20261120);
    FrameType[] types = FrameType.values();
    for (int i = 0; i < 50_000; i++) {
      byte[] bytes = new byte[random.nextInt(80)];
      random.nextBytes(bytes);
      for (int zeros = random.nextInt(4) * bytes.length / 4; zeros > 0; zeros--) {
        bytes[random.nextInt(bytes.length)] = 0;
      }
      FrameType type = types[random.nextInt(types.length)];
      try {
        assertThat(decode(type, bytes).type()).isEqualTo(type);
      } catch (ProtocolException e) {
        assertThat(e.getMessage()).contains(type.name());
      }
    }
  }

  /**
   * Each length and count one over its limit: refused for it, not for the bytes that are missing.
   */
  @ParameterizedTest
  @CsvSource({
    "HELLO, 44, 21, 33 bytes",
    "HELLO, 77, 41, 65 bytes",
    "WELCOME, 20, 41, 65 bytes",
    "OFFER, 32, 41, 65 bytes",
    "OFFER, 37, 0104, 1025 entries",
    "OFFER, 39, 41, 65 bytes",
    "OFFER, 51, 0101, 257 entries",
    "ACCEPTED, 8, 1100, 17 entries",
    "DIRTY_SUMMARY, 6, 0110, 4097 entries",
    "DEVICE_STATE, 12, f1ff0f00, 1048561 bytes",
    "DEVICE_STATE, 12, ffffffff, 4294967295 bytes",
    "ABORT, 2, 0102, 513 bytes",
    "MISSING, 4, 00100000, 4096 entries",
    "MISSING, 4, ffffffff, out of range",
    "PAGE_REQUEST, 2, 0102, 513 entries",
    "RESUMED, 20, 1100, 17 entries",
    "RECALLED, 4, 00100000, 4096 entries",
    "RECALLED, 4, ffffffff, out of range",
    "FOUND, 4, f100, 241 entries",
  })
  void aLengthOneOverItsLimitIsRefusedBeforeItsBytesAreLookedFor(
      FrameType type, int offset, String hex, String message) {
    assertRefused(type, offset, hex, message);
  }

  @ParameterizedTest
  @CsvSource({
    "HELLO, 0, 51, PGFY",
    "HELLO, 4, 0000, lowest version 0",
    "HELLO, 6, 0000, highest version 0",
    "HELLO, 8, 00, channel role 0",
    "HELLO, 8, 04, channel role 4",
    "HELLO, 9, 01, reserved",
    "HELLO, 10, 1000, channel index 16",
    "HELLO, 20, 01001000, longest payload 1048577",
    "HELLO, 20, ffff0000, longest payload 65535",
    "HELLO, 24, 0000, data channels 0",
    "HELLO, 24, 1100, data channels 17",
    "HELLO, 26, 0f00, runs 15",
    "HELLO, 26, 0104, runs 1025",
    "HELLO, 78, 07, control character",
    "HELLO, 78, ff, not UTF-8",
    "WELCOME, 0, 0000, version 0",
    "OFFER, 0, 00000000000000000000000000000000, without an identity",
    "OFFER, 16, 00, migration mode 0",
    "OFFER, 17, 02, neither yes nor no",
    "OFFER, 18, 0000, data channels 0",
    "OFFER, 18, 1100, data channels 17",
    "OFFER, 24, ffffffffffffffff, downtime limit -1",
    "OFFER, 33, 2e, guest name",
    "OFFER, 34, 2f, guest name",
    "OFFER, 37, 0000, number of regions 0",
    "OFFER, 43, 0100000000000000, region size 1",
    "OFFER, 43, 0110000000000000, not a multiple",
    "OFFER, 43, 0010000000400000, region size 70368744181760",
    "OFFER, 54, 0a, control character",
    "OFFER, 20, 00, post-copy wish 0",
    "OFFER, 20, 04, post-copy wish 4",
    "OFFER, 16, 03, mode POSTCOPY without post-copy",
    "OFFER, 16, 04, mode HYBRID without post-copy",
    "ACCEPTED, 8, 0000, join tokens 0",
    "ACCEPTED, 10, 02, neither yes nor no",
    "ACCEPTED, 11, 13, size of a granule 19",
    "ROUND_BEGIN, 0, 00000000, round 0",
    "ROUND_BEGIN, 0, 00000080, out of range",
    "ROUND_BEGIN, 8, 00000000000000ff, dirty pages",
    "ROUND_END, 4, 01, reserved",
    "DIRTY_SUMMARY, 4, 0004, region 1024",
    "DIRTY_SUMMARY, 24, 0000000000000000, number of pages 0",
    "DIRTY_SUMMARY, 16, ffffffffffffff7f, number of pages",
    "DEVICE_STATE, 0, feffff0300000000, offset of device state",
    "ABORT, 0, 0000, abort reason 0",
    "OWNERSHIP, 16, 00, ownership state 0",
    "OWNERSHIP, 16, 08, ownership state 8",
    "MISSING, 0, 0004, region 1024",
    "MISSING, 2, 02, neither yes nor no",
    "MISSING, 16, 0000000000000000, number of pages 0",
    "MISSING, 24, 1400000000000000, first page of a span 20",
    "MISSING, 24, 0000000004000000, end of a span 17179869186",
    "MISSING, 24, ffffffff03000000, end of a span 17179869185",
    "MISSING, 16, ffffffffffffff7f, number of pages",
    "SWITCH, 0, 00000000, round 0",
    "SWITCH, 4, 01, reserved",
    "SWITCH, 8, ffffffffffffffff, missing pages -1",
    "PAGE_REQUEST, 0, 0004, region 1024",
    "PAGE_REQUEST, 2, 0000, number of pages 0",
    "PAGE_REQUEST, 8, ffffffffffffffff, page -1",
    "SETTLED, 16, 00, comparison 0",
    "SETTLED, 16, 04, comparison 4",
    "SETTLED, 24, ffffffffffffffff, faults -1",
    "SETTLED, 88, ffffffffffffffff, guest operations -1",
    "SETTLED, 96, ffffffffffffffff, guest operations afterwards -1",
    "RESUMED, 16, 00000000, round 0",
    "RESUMED, 20, 0000, join tokens 0",
    "RECALLED, 0, 0004, region 1024",
    "RECALLED, 2, 02, neither yes nor no",
    "RECALLED, 3, 01, reserved",
    "RECALLED, 8, ffffffff03000000, first page 17179869183",
    "RECALLED, 8, ffffffffffffffff, first page -1",
    "FOUND, 0, 00000000, round 0",
    "FOUND, 4, 0000, number of pages 0",
    "FOUND, 6, 01, reserved",
    "FOUND, 8, 00, finding 0",
    "FOUND, 10, 04, finding 4",
  })
  void aValueOutsideItsRangeIsRefused(FrameType type, int offset, String hex, String message) {
    assertRefused(type, offset, hex, message);
  }

  @Test
  void onlyTheLastOfASeriesMayNameNothing() throws ProtocolException {
    assertThat(decode(FrameType.RECALLED, ByteBufUtil.decodeHexDump("00000100" + "00".repeat(12))))
        .isEqualTo(new Recalled(0, true, 0, new byte[0]));
    assertThatThrownBy(() -> decode(FrameType.RECALLED, ByteBufUtil.decodeHexDump("00".repeat(16))))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("number of digests 0");
  }

  @Test
  void anUnknownAbortReasonStillTells() throws ProtocolException {
    assertThat(decode(FrameType.ABORT, ByteBufUtil.decodeHexDump("ff7f02006f68")))
        .isEqualTo(new Abort(AbortReason.INTERNAL, "oh"));
  }

  @Test
  void anAbortMakesItsTextFit() {
    assertThat(new Abort(AbortReason.INTERNAL, "a\u001b[2J\nb").text()).isEqualTo("a [2J b");
    String cut = new Abort(AbortReason.INTERNAL, "x" + "½".repeat(300)).text();
    assertThat(cut).isEqualTo("x" + "½".repeat(255));
  }

  @Test
  void pagesAreNotAMessage() {
    assertThatThrownBy(() -> decode(FrameType.PAGES, new byte[8]))
        .isInstanceOf(ProtocolException.class);
  }

  @Test
  void tokensStayOutOfLogs() {
    for (Sample sample : SAMPLES) {
      assertThat(sample.message().toString()).doesNotContain("[B@").doesNotContain("a5a5");
    }
  }

  private static void assertRefused(FrameType type, int offset, String hex, String message) {
    Sample sample =
        SAMPLES.stream().filter(s -> s.message().type() == type).findFirst().orElseThrow();
    byte[] bytes = ByteBufUtil.decodeHexDump(sample.hex());
    byte[] patch = ByteBufUtil.decodeHexDump(hex);
    System.arraycopy(patch, 0, bytes, offset, patch.length);
    assertThatThrownBy(() -> decode(type, bytes))
        .isInstanceOfSatisfying(
            ProtocolException.class,
            e -> assertThat(e.reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION))
        .hasMessageContaining(message);
  }

  private static Message decode(FrameType type, byte[] bytes) throws ProtocolException {
    return MessageCodec.decode(type, Unpooled.wrappedBuffer(bytes));
  }
}
