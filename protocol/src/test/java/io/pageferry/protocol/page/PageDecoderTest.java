package io.pageferry.protocol.page;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.PageSpan;
import java.io.IOException;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PageDecoderTest {
  private static final ImageLayout LAYOUT = PageFixture.layout(32, 1L << 33);
  private static final String BATCH = "03000000" + "0000" + "0100";

  /** An LZ4 block of one page of zeros: one literal, a match of 4095 behind it (offset 1). */
  private static final String ZERO_BLOCK =
      "1f" + "00" + "0100" + "ff".repeat(15) + "f6" + "50" + "00".repeat(5);

  /** A zstd frame of one page of zeros: 4096 bytes of content, one block that repeats a byte. */
  private static final String ZERO_FRAME = "28b52ffd" + "60" + "000f" + "038000" + "00";

  private final UnpooledByteBufAllocator allocator = new UnpooledByteBufAllocator(true);
  private final PageDecoder decoder = new PageDecoder(LAYOUT, allocator, PageFixture.ALL);

  @AfterEach
  void close() {
    decoder.close();
  }

  @Test
  void theGoldenBytesOfZeroPages() {
    try (PageEncoder encoder = new PageEncoder(allocator, false)) {
      ByteBuf frame = encoder.encodeZero(3, 1, List.of(new PageSpan(258, 5)), new PageTally());
      assertThat(ByteBufUtil.hexDump(frame, 0, 8)).isEqualTo("1c00000005000000");
      assertThat(ByteBufUtil.hexDump(PageFixture.payload(frame)))
          .isEqualTo(
              "03000000" // round 3
                  + "0100" // region 1
                  + "0100" // one run
                  + "0201000000000000" // from page 258
                  + "05000000" // five pages
                  + "01" // ZERO
                  + "000000"
                  + "00000000"); // no data
      frame.release();
    }
  }

  @Test
  void theGoldenBytesOfARawPage() {
    byte[] page = PageFixture.noise(new Random(1));
    ImageLayout layout = PageFixture.layout(32);
    try (PageEncoder encoder = new PageEncoder(allocator, true);
        ImageDigest digest = new ImageDigest(layout)) {
      ByteBuf frame =
          encoder.encode(
              3,
              PageRuns.of(0, 2, 1),
              PageFixture.snapshot(encoder, List.of(page)),
              digest.stripe(),
              new PageTally());
      assertThat(ByteBufUtil.hexDump(frame, frame.readerIndex(), 8)).isEqualTo("1c10000005000000");
      assertThat(ByteBufUtil.hexDump(PageFixture.payload(frame)))
          .isEqualTo(
              BATCH
                  + "0200000000000000"
                  + "01000000"
                  + "02" // RAW
                  + "000000"
                  + "00100000"
                  + ByteBufUtil.hexDump(page));
      frame.release();
    }
  }

  @Test
  void anLz4BlockWrittenByHandLands() throws IOException {
    PageFixture.ArrayImage image = new PageFixture.ArrayImage(32);
    image.pages[2] = PageFixture.noise(new Random(2));
    decoder.decode(bytes(BATCH + run(2, 1, 3, ZERO_BLOCK.length() / 2) + ZERO_BLOCK), image);
    assertThat(image.pages[2]).isEqualTo(PageFixture.zero());
    assertThat(image.dataRuns).isEqualTo(1);
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  @Test
  void aZstdBlockWrittenByHandLands() throws IOException {
    PageFixture.ArrayImage image = new PageFixture.ArrayImage(32);
    image.pages[2] = PageFixture.noise(new Random(2));
    ByteBuf payload = bytes(BATCH + run(2, 1, 6, ZERO_FRAME.length() / 2) + ZERO_FRAME);
    decoder.decode(payload, image);
    assertThat(image.pages[2]).isEqualTo(PageFixture.zero());
    image.pages[2] = PageFixture.noise(new Random(2));
    decoder.decode(Unpooled.copiedBuffer(payload), image);
    assertThat(image.pages[2]).describedAs("from the heap").isEqualTo(PageFixture.zero());
    assertThat(image.dataRuns).isEqualTo(2);
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  @ParameterizedTest
  @CsvSource({
    "28b52ffd, 60, 00ff, 038000 00, holds 65536 bytes instead of 4096",
    "28b52ffd, e0, 0000000001000000, 038000 00, holds 4294967296 bytes instead of 4096",
    "28b52ffd, 00, 50, 038000 00, instead of 4096",
    "28b52ffd, 60, 000f, 030000 00, is broken",
    "28b52ffd, 60, 000f, 038800 00, is broken",
    "28b52ffd, 61, 07000f, 038000 00, is broken",
    "28b52ffd, 60, 000f, 028000 00, is not as long",
    "28b52ffd, 60, 000f, 038000 0000, is not as long",
    "28b52ffd, 60, 000f, 038000 0028b52ffd60000f03800000, is not as long",
    "502a4d18, 04, 000000, 00000000, is none",
    "27b52ffd, 60, 000f, 038000 00, is none",
    "28b52f, '', '', '', is none",
  })
  void aZstdBlockOfAnotherSizeOrFormIsRefused(
      String magic, String descriptor, String size, String blocks, String message) {
    String block = (magic + descriptor + size + blocks).replace(" ", "");
    assertRefused(BATCH + run(2, 1, 6, block.length() / 2) + block, message);
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  @Test
  void aBrokenZstdBlockNeverLands() throws IOException {
    byte[] written = ByteBufUtil.decodeHexDump(ZERO_FRAME);
    for (int index = 0; index < written.length; index++) {
      for (int flip = 1; flip < 256; flip++) {
        assertRefusedOrWhole(written, index, flip);
      }
    }
    byte[] block = zstdBlock();
    for (int index = 0; index < block.length; index++) {
      for (int flip : new int[] {0x01, 0x10, 0x80, 0xFF}) {
        assertRefusedOrWhole(block, index, flip);
      }
    }
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  /** The data of a run of one page. */
  private static byte[] zstdBlock() {
    ImageLayout layout = PageFixture.layout(1);
    try (PageEncoder encoder =
            new PageEncoder(
                UnpooledByteBufAllocator.DEFAULT,
                new PageEncodings(true, Set.of(PageCodec.ZSTD), null));
        ImageDigest digest = new ImageDigest(layout)) {
      ByteBuf snapshot = PageFixture.snapshot(encoder, List.of(PageFixture.text(new Random(3))));
      ByteBuf frame =
          encoder.encode(1, PageRuns.of(0, 0, 1), snapshot, digest.stripe(), new PageTally());
      byte[] block =
          ByteBufUtil.getBytes(
              PageFixture.payload(frame)
                  .skipBytes(PageBatch.BATCH_HEADER_BYTES + PageBatch.RUN_HEADER_BYTES));
      frame.release();
      return block;
    }
  }

  private void assertRefusedOrWhole(byte[] good, int index, int flip) throws IOException {
    byte[] block = good.clone();
    block[index] ^= (byte) flip;
    String hex = BATCH + run(2, 1, 6, block.length) + ByteBufUtil.hexDump(block);
    PageFixture.ArrayImage image = new PageFixture.ArrayImage(32);
    try {
      decoder.decode(bytes(hex), image);
      assertThat(image.dataRuns).isEqualTo(1);
    } catch (ProtocolException e) {
      assertThat(e).hasMessageContaining("zstd block");
      assertThat(image.dataRuns).isZero();
    }
  }

  @ParameterizedTest
  @CsvSource({
    // round, region and run count
    "00000000 0000 0100, 0, 1, 1, 0, of round 0",
    "ffffffff 0000 0100, 0, 1, 1, 0, of round 4294967295",
    "03000000 0200 0100, 0, 1, 1, 0, in region 2",
    "03000000 0000 0000, 0, 1, 1, 0, of 0 runs",
    "03000000 0000 0104, 0, 1, 1, 0, of 1025 runs",
    "03000000 0000 0200, 0, 1, 1, 0, within the header",
    // page numbers
    "03000000 0000 0100, 0, 0, 1, 0, no 0 pages",
    "03000000 0000 0100, 0, 33, 1, 0, no 33 pages",
    "03000000 0000 0100, 32, 1, 1, 0, no 1 pages",
    "03000000 0000 0100, 31, 2, 1, 0, no 2 pages",
    "03000000 0000 0100, -1, 1, 1, 0, from 18446744073709551615",
    "03000000 0000 0100, 9223372036854775807, 1, 1, 0, no 1 pages",
    "03000000 0000 0100, 0, -1, 1, 0, no 4294967295 pages",
    // encoding and length
    "03000000 0000 0100, 0, 1, 0, 0, encoding 0",
    "03000000 0000 0100, 0, 1, 9, 0, encoding 9",
    "03000000 0000 0100, 0, 1, 4, 0, DELTA",
    "03000000 0000 0100, 0, 1, 5, 1, KNOWN with 1 bytes",
    "03000000 0100 0100, 0, 241, 5, 0, 241 pages as KNOWN",
    "03000000 0000 0100, 0, 1, 5, 0, not known here",
    "03000000 0000 0100, 0, 1, 1, 1, ZERO with 1 bytes",
    "03000000 0000 0100, 0, 1, 2, 4095, RAW with 4095 bytes",
    "03000000 0000 0100, 0, 1, 2, 4097, RAW with 4097 bytes",
    "03000000 0000 0100, 0, 1, 2, -1, RAW with 4294967295 bytes",
    "03000000 0000 0100, 0, 1, 2, 4096, within the data",
    "03000000 0000 0100, 0, 1, 3, 0, LZ4 with 0 bytes",
    "03000000 0000 0100, 0, 1, 3, 4096, LZ4 with 4096 bytes",
    "03000000 0000 0100, 0, 1, 3, -1, LZ4 with 4294967295 bytes",
    "03000000 0000 0100, 0, 17, 3, 10, 17 pages as LZ4",
    "03000000 0000 0100, 0, 1, 3, 10, within the data",
    "03000000 0000 0100, 0, 1, 6, 0, ZSTD with 0 bytes",
    "03000000 0000 0100, 0, 1, 6, 4096, ZSTD with 4096 bytes",
    "03000000 0000 0100, 0, 1, 6, -1, ZSTD with 4294967295 bytes",
    "03000000 0100 0100, 0, 65, 6, 10, 65 pages as ZSTD",
    "03000000 0000 0100, 0, 1, 6, 10, within the data",
    "03000000 0000 0100, 0, 1, 7, 0, REFERENCE with 0 bytes",
    "03000000 0000 0100, 0, 1, 7, 31, REFERENCE with 31 bytes",
    "03000000 0000 0100, 0, 2, 7, 32, 2 pages as REFERENCE",
    "03000000 0000 0100, 0, 1, 7, -1, REFERENCE with 4294967295 bytes",
    "03000000 0100 0100, 0, 241, 7, 7712, 241 pages as REFERENCE",
    "03000000 0000 0100, 0, 1, 7, 32, within the data",
    "03000000 0000 0100, 0, 1, 8, 0, PARTS with 0 bytes",
    "03000000 0000 0100, 0, 1, 8, 2, PARTS with 2 bytes",
    "03000000 0000 0100, 0, 1, 8, 4096, PARTS with 4096 bytes",
    "03000000 0000 0100, 0, 1, 8, -1, PARTS with 4294967295 bytes",
    "03000000 0100 0100, 0, 65, 8, 100, 65 pages as PARTS",
    "03000000 0000 0100, 0, 1, 8, 514, within the data",
  })
  void aNumberThatDoesNotFitIsRefusedUnheard(
      String batch, long first, int count, int encoding, int length, String message) {
    assertRefused(batch.replace(" ", "") + run(first, count, encoding, length), message);
  }

  @Test
  void referencesStandAloneAndAreNotTooMany() {
    String batch = "03000000" + "0100" + "0200";
    String digest = "a5".repeat(32);
    assertRefused(batch + run(4, 1, 7, 32) + digest + run(5, 1, 1, 0), "1 references in 1 of 2");
    assertRefused(batch + run(4, 1, 1, 0) + run(5, 1, 7, 32) + digest, "1 references in 1 of 2");
    assertRefused(
        batch
            + run(4, 200, 7, 6400)
            + digest.repeat(200)
            + run(204, 41, 7, 1312)
            + digest.repeat(41),
        "241 references in 2 of 2");
    assertRefused(BATCH + run(4, 1, 7, 32) + digest, "page 4 is not looked for here");
  }

  @Test
  void runsMustAscend() {
    String batch = "03000000" + "0000" + "0200";
    assertRefused(batch + run(4, 2, 1, 0) + run(5, 1, 1, 0), "page 5 comes after page 6");
    assertRefused(batch + run(4, 2, 1, 0) + run(0, 1, 1, 0), "page 0 comes after page 6");
  }

  @Test
  void reservedBytesAndSurplusBytesAreRefused() {
    String run = run(0, 1, 1, 0);
    assertRefused(BATCH + run.substring(0, 26) + "01" + run.substring(28), "reserved");
    assertRefused(BATCH + run.substring(0, 30) + "01" + run.substring(32), "reserved");
    assertRefused(BATCH + run + "00", "1 bytes too many");
    assertRefused("03000000" + "0000", "a page batch of 6 bytes");
  }

  @Test
  void aLaterRunThatIsWrongStopsTheWholeBatch() {
    assertRefused(
        "03000000" + "0000" + "0200" + run(0, 1, 1, 0) + run(32, 1, 1, 0), "no 1 pages from 32");
  }

  @Test
  void anEncodingThatWasNotAgreedOnIsRefused() {
    PageDecoder plain = new PageDecoder(LAYOUT, allocator, new Capabilities(0));
    for (String run :
        List.of(
            run(0, 1, 1, 0),
            run(0, 1, 3, 4) + "00000000",
            run(2, 1, 6, 11) + ZERO_FRAME,
            run(2, 1, 7, 32) + "a5".repeat(32))) {
      assertThatThrownBy(() -> plain.decode(bytes(BATCH + run), new Silent()))
          .isInstanceOf(ProtocolException.class);
    }
  }

  @Test
  void aBrokenLz4BlockNeverLands() {
    for (int index = 0; index < ZERO_BLOCK.length() / 2; index++) {
      for (int flip = 1; flip < 256; flip++) {
        byte[] block = ByteBufUtil.decodeHexDump(ZERO_BLOCK);
        block[index] ^= (byte) flip;
        String hex = BATCH + run(2, 1, 3, block.length) + ByteBufUtil.hexDump(block);
        PageFixture.ArrayImage image = new PageFixture.ArrayImage(32);
        try {
          decoder.decode(bytes(hex), image);
          assertThat(image.dataRuns).isEqualTo(1);
        } catch (ProtocolException e) {
          assertThat(e).hasMessageContaining("LZ4 block");
          assertThat(image.dataRuns).isZero();
        } catch (IOException e) {
          throw new AssertionError(e);
        }
      }
    }
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  @Test
  void eachMutatedByteOfASmallBatchIsRefusedOrStaysWithinTheImage() {
    byte[] good =
        ByteBufUtil.decodeHexDump("03000000" + "0000" + "0200" + run(1, 2, 1, 0) + run(9, 3, 1, 0));
    for (int index = 0; index < good.length; index++) {
      for (int flip = 1; flip < 256; flip++) {
        byte[] mutated = good.clone();
        mutated[index] ^= (byte) flip;
        try {
          decoder.decode(Unpooled.wrappedBuffer(mutated), new Within());
        } catch (ProtocolException e) {
          assertThat(e.getMessage()).isNotEmpty();
        } catch (IOException e) {
          throw new AssertionError(e);
        }
      }
    }
  }

  @Test
  void aFailingSinkLeavesNoBufferBehind() {
    String hex = BATCH + run(2, 1, 3, ZERO_BLOCK.length() / 2) + ZERO_BLOCK;
    PageSink full =
        new PageSink() {
          @Override
          public void zero(int round, int region, long firstPage, long count) {}

          @Override
          public void pages(int round, int region, long firstPage, ByteBuf data)
              throws IOException {
            throw new IOException("disk full");
          }
        };
    assertThatThrownBy(() -> decoder.decode(bytes(hex), full)).hasMessage("disk full");
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  @Test
  void theEncoderRefusesWhatTheDecoderWould() {
    try (PageEncoder encoder = new PageEncoder(allocator, false);
        ImageDigest digest = new ImageDigest(PageFixture.layout(32))) {
      assertThatThrownBy(() -> encoder.snapshotBuffer(241))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> encoder.snapshotBuffer(0))
          .isInstanceOf(IllegalArgumentException.class);
      PageTally tally = new PageTally();
      for (List<PageSpan> spans :
          List.of(
              List.<PageSpan>of(),
              List.of(new PageSpan(5, 2), new PageSpan(6, 1)),
              List.of(new PageSpan(0, 1L << 32)))) {
        assertThatThrownBy(() -> encoder.encodeZero(1, 0, spans, tally))
            .isInstanceOf(IllegalArgumentException.class);
      }
      ByteBuf snapshot = encoder.snapshotBuffer(1);
      // A page that the image does not have: the snapshot is released all the same.
      assertThatThrownBy(
              () -> encoder.encode(1, PageRuns.of(0, 32, 1), snapshot, digest.stripe(), tally))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThat(snapshot.refCnt()).isZero();
    }
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  private void assertRefused(String hex, String message) {
    assertThatThrownBy(() -> decoder.decode(bytes(hex), new Silent()))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining(message);
  }

  private static ByteBuf bytes(String hex) {
    byte[] bytes = ByteBufUtil.decodeHexDump(hex);
    assertThat(bytes.length).isLessThan(FrameHeader.MAX_PAYLOAD);
    return Unpooled.directBuffer(bytes.length).writeBytes(bytes);
  }

  private static String run(long first, int count, int encoding, int length) {
    return ByteBufUtil.hexDump(
        Unpooled.buffer()
            .writeLongLE(first)
            .writeIntLE(count)
            .writeByte(encoding)
            .writeZero(3)
            .writeIntLE(length));
  }

  /** Fails the test as soon as it hears of a page. */
  private static class Silent implements PageSink {
    @Override
    public void zero(int round, int region, long firstPage, long count) {
      throw new AssertionError("heard of page " + firstPage);
    }

    @Override
    public void pages(int round, int region, long firstPage, ByteBuf data) {
      throw new AssertionError("heard of page " + firstPage);
    }
  }

  /** Fails the test if it hears of a page outside the image. */
  private static final class Within implements PageSink {
    @Override
    public void zero(int round, int region, long firstPage, long count) {
      assertThat(LAYOUT.holds(region, firstPage, count)).isTrue();
    }

    @Override
    public void pages(int round, int region, long firstPage, ByteBuf data) {
      assertThat(LAYOUT.holds(region, firstPage, data.readableBytes() / 4096)).isTrue();
    }
  }
}
