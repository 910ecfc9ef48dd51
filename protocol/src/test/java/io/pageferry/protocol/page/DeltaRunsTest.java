package io.pageferry.protocol.page;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.pageferry.protocol.frame.ProtocolException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Objects;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class DeltaRunsTest {
  private static final int PAGE = PageBatch.PAGE_BYTES;
  private static final int ROOM = 2 * PAGE;

  private final Arena arena = Arena.ofAuto();
  private final MemorySegment base = arena.allocate(2 * PAGE);
  private final MemorySegment page = arena.allocate(2 * PAGE);
  private final MemorySegment out = arena.allocate(ROOM);
  private final MemorySegment untouched = arena.allocate(ROOM).fill((byte) 0x55);

  private byte[] write(byte[] from, byte[] to, int limit) {
    return Objects.requireNonNull(writeUpTo(from, to, limit));
  }

  /** The difference, or null if it is longer than the limit. */
  private byte @Nullable [] writeUpTo(byte[] from, byte[] to, int limit) {
    // At odd places, as pages lie in a snapshot behind one another.
    MemorySegment.copy(from, 0, base, ValueLayout.JAVA_BYTE, 24, PAGE);
    MemorySegment.copy(to, 0, page, ValueLayout.JAVA_BYTE, 64, PAGE);
    out.fill((byte) 0x55);
    int length = DeltaRuns.write(base, 24, page, 64, out, 5, limit);
    int touched = Math.max(length, limit) + DeltaRuns.RUN_HEADER_BYTES + DeltaRuns.SLACK_BYTES;
    int room = ROOM - 5 - touched;
    assertThat(out.asSlice(5 + touched, room).mismatch(untouched.asSlice(0, room))).isEqualTo(-1);
    return length < 0 ? null : out.asSlice(5, length).toArray(ValueLayout.JAVA_BYTE);
  }

  private static byte[] apply(byte[] from, byte[] difference) throws ProtocolException {
    ByteBuf runs = Unpooled.directBuffer().writeZero(3).writeBytes(difference);
    ByteBuf pages = Unpooled.directBuffer().writeZero(PAGE).writeBytes(from).writeZero(PAGE);
    try {
      DeltaRuns.apply(runs, 3, difference.length, pages, PAGE);
    } finally {
      assertThat(ZeroPages.isZero(pages, 0, PAGE)).isTrue();
      assertThat(ZeroPages.isZero(pages, 2 * PAGE, PAGE)).isTrue();
    }
    byte[] to = new byte[PAGE];
    pages.getBytes(PAGE, to);
    return to;
  }

  /** The same runs found byte by byte: what the wire format means, in the plainest words. */
  private static byte[] reference(byte[] from, byte[] to) {
    ByteBuf runs = Unpooled.buffer();
    int done = 0;
    for (int at = 0; at < PAGE; ) {
      if (same(from, to, at & -8)) {
        at = (at & -8) + 8;
        continue;
      }
      int begin = at;
      while (from[begin] == to[begin]) {
        begin++;
      }
      int word = at & -8;
      while (word < PAGE && !same(from, to, word)) {
        word += 8;
      }
      int end = word;
      while (from[end - 1] == to[end - 1]) {
        end--;
      }
      runs.writeMediumLE((begin - done) | ((end - begin - 1) << 12));
      runs.writeBytes(to, begin, end - begin);
      done = end;
      at = word;
    }
    byte[] bytes = new byte[runs.readableBytes()];
    runs.readBytes(bytes);
    return bytes;
  }

  private static boolean same(byte[] one, byte[] other, int word) {
    return Arrays.equals(one, word, word + 8, other, word, word + 8);
  }

  private static byte[] changed(byte[] page, Random random, int runs, int longest) {
    byte[] to = page.clone();
    for (int run = 0; run < runs; run++) {
      int length = 1 + random.nextInt(longest);
      int at = random.nextInt(PAGE - length + 1);
      for (int i = at; i < at + length; i++) {
        to[i] = (byte) random.nextInt();
      }
    }
    return to;
  }

  @Test
  void theGoldenBytes() {
    byte[] from = PageFixture.noise(new Random(1));
    byte[] to = from.clone();
    assertThat(write(from, to, PAGE)).isEmpty();
    to[5] = (byte) ~from[5];
    assertThat(write(from, to, PAGE)).isEqualTo(hex("050000" + hexOf(to, 5, 6)));
    // Three bytes across two words, then the last byte of the page.
    to[15] = (byte) ~from[15];
    to[16] = from[16];
    to[17] = (byte) ~from[17];
    to[4095] = (byte) ~from[4095];
    to[5] = from[5];
    // 15 unchanged and 3 changed; 4095 − 18 = 0xfed unchanged and 1 changed.
    assertThat(write(from, to, PAGE))
        .isEqualTo(hex("0f2000" + hexOf(to, 15, 18) + "ed0f00" + hexOf(to, 4095, 4096)));
  }

  @Test
  void aWholePageIsOneRun() throws ProtocolException {
    byte[] from = PageFixture.zero();
    byte[] to = new byte[PAGE];
    Arrays.fill(to, (byte) 7);
    byte[] runs = write(from, to, PAGE + DeltaRuns.RUN_HEADER_BYTES);
    assertThat(runs).hasSize(PAGE + DeltaRuns.RUN_HEADER_BYTES).startsWith(hex("00f0ff0707"));
    assertThat(apply(from, runs)).isEqualTo(to);
    assertThat(writeUpTo(from, to, PAGE + DeltaRuns.RUN_HEADER_BYTES - 1)).isNull();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 24, 100})
  void alternatingStretchesCostNoMoreThanTheirRuns(int stretch) throws ProtocolException {
    byte[] from = PageFixture.noise(new Random(stretch));
    byte[] to = from.clone();
    for (int at = 0; at < PAGE; at++) {
      if (at / stretch % 2 == 1) {
        to[at] = (byte) ~from[at];
      }
    }
    byte[] runs = write(from, to, ROOM - 100);
    assertThat(runs).isEqualTo(reference(from, to));
    assertThat(apply(from, runs)).isEqualTo(to);
  }

  @Test
  void oneBitAnywhereTakesFourBytes() throws ProtocolException {
    byte[] from = PageFixture.text(new Random(3));
    for (int bit = 0; bit < PAGE * 8; bit += 5) {
      byte[] to = from.clone();
      to[bit / 8] ^= (byte) (1 << bit % 8);
      byte[] runs = write(from, to, PAGE);
      assertThat(runs).hasSize(4);
      assertThat(apply(from, runs)).isEqualTo(to);
    }
  }

  @Test
  void anyChangesAreFoundAsThePlainReferenceFindsThem() throws ProtocolException {
    Random random = new Random(4);
    for (int pair = 0; pair < 2000; pair++) {
      byte[] from = pair % 2 == 0 ? PageFixture.noise(random) : PageFixture.zero();
      byte[] to = changed(from, random, random.nextInt(60), 1 + random.nextInt(120));
      byte[] expected = reference(from, to);
      int limit = random.nextInt(PAGE);
      byte[] runs = writeUpTo(from, to, limit);
      if (runs == null) {
        assertThat(expected.length).isGreaterThan(limit);
      } else {
        assertThat(runs).isEqualTo(expected);
        assertThat(apply(from, runs)).isEqualTo(to);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "0f20, within the header of a run",
    "0f20001122, ends within a run",
    "0f2000, ends within a run",
    "ff1f001122, ends at byte 4097",
    "ff0f0011 000000 11, touch each other",
    "ff0f0011 010000 11, ends at byte 4098",
    "00f0ff, ends within a run",
  })
  void aRunThatDoesNotFitIsRefused(String difference, String message) {
    assertThatThrownBy(() -> apply(PageFixture.zero(), hex(difference.replace(" ", ""))))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining(message);
  }

  @Test
  void eachMutatedByteIsRefusedOrStaysWithinThePage() {
    Random random = new Random(5);
    byte[] from = PageFixture.noise(random);
    byte[] runs = write(from, changed(from, random, 5, 9), PAGE);
    for (int at = 0; at < runs.length; at++) {
      for (int flip = 1; flip < 256; flip++) {
        byte[] mutated = runs.clone();
        mutated[at] ^= (byte) flip;
        survives(mutated);
      }
    }
  }

  @Test
  void randomBytesStayWithinThePage() {
    Random random = new Random(6);
    for (int walk = 0; walk < 5000; walk++) {
      byte[] bytes = new byte[random.nextInt(60)];
      random.nextBytes(bytes);
      for (int at = 0; at < bytes.length; at += 3) {
        bytes[at] = (byte) random.nextInt(4);
      }
      survives(bytes);
    }
  }

  @FuzzTest
  void differences(byte[] data) {
    survives(data);
  }

  private static void survives(byte[] difference) {
    try {
      apply(PageFixture.zero(), difference);
    } catch (ProtocolException e) {
      assertThat(e.getMessage()).isNotEmpty();
    }
  }

  private static byte[] hex(String hex) {
    return ByteBufUtil.decodeHexDump(hex);
  }

  private static String hexOf(byte[] page, int from, int to) {
    return ByteBufUtil.hexDump(page, from, to - from);
  }
}
