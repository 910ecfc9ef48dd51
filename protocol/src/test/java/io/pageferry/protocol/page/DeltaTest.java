package io.pageferry.protocol.page;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.PageSpan;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Pages that are sent again as differences, from the encoder's cache to the decoder's sink. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class DeltaTest {
  private static final int PAGE = PageBatch.PAGE_BYTES;
  private static final int DELTA = PageEncoding.DELTA.code();

  private final UnpooledByteBufAllocator allocator = new UnpooledByteBufAllocator(true);

  /** Both sides of a migration of one region, page by page. */
  private static final class Crossing implements AutoCloseable {
    final ImageLayout layout;
    final BaseCache bases;
    final PageEncoder encoder;
    final ImageDigest digest;
    final ImageDigest.Stripe stripe;
    final PageDecoder decoder;
    final PageFixture.ArrayImage image;
    PageTally tally = new PageTally();

    Crossing(int pages, int cached, boolean compress) {
      this(pages, cached, compress ? PageCodec.LZ4 : PageCodec.RAW);
    }

    Crossing(int pages, int cached, PageCodec codec) {
      layout = PageFixture.layout(pages);
      bases = new BaseCache(layout, (long) cached * PAGE);
      encoder =
          new PageEncoder(
              PooledByteBufAllocator.DEFAULT, new PageEncodings(true, Set.of(codec), bases));
      digest = new ImageDigest(layout);
      stripe = digest.stripe();
      decoder = new PageDecoder(layout, PooledByteBufAllocator.DEFAULT, PageFixture.ALL);
      image = new PageFixture.ArrayImage(pages);
    }

    /** Sends these contents for the pages from {@code first} on; returns the frame's payload. */
    byte[] send(int round, int first, byte[]... contents) throws IOException {
      ByteBuf payload = encode(round, first, contents);
      byte[] bytes = ByteBufUtil.getBytes(payload);
      decoder.decode(payload, image);
      payload.release();
      for (int i = 0; i < contents.length; i++) {
        assertThat(image.pages[first + i]).isEqualTo(contents[i]);
      }
      return bytes;
    }

    ByteBuf encode(int round, int first, byte[]... contents) {
      PageRuns runs = PageRuns.of(0, first, contents.length);
      ByteBuf snapshot = PageFixture.snapshot(encoder, List.of(contents));
      return PageFixture.payload(encoder.encode(round, runs, snapshot, stripe, tally));
    }

    /** What the cache holds is what the target has. */
    int assertBasesAreTheTargets() {
      int held = 0;
      for (int page = 0; page < image.pages.length; page++) {
        MemorySegment base = bases.base(0, page);
        if (base != null) {
          held++;
          assertThat(base.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(image.pages[page]);
        }
      }
      return held;
    }

    @Override
    public void close() {
      encoder.close();
      decoder.close();
      bases.close();
      digest.close();
    }
  }

  private static byte[] changed(byte[] page, int at, int value) {
    byte[] to = page.clone();
    to[at] = (byte) value;
    return to;
  }

  @Test
  void theGoldenBytes() throws IOException {
    try (Crossing crossing = new Crossing(32, 8, false)) {
      byte[] first = new byte[PAGE];
      for (int i = 0; i < PAGE; i++) {
        first[i] = (byte) i;
      }
      crossing.send(1, 2, first);
      crossing.bases.begin(2, true);
      byte[] second = changed(first, 0, 0x11);
      assertThat(crossing.send(2, 2, second)).hasSize(8 + 20 + PAGE);
      crossing.bases.begin(3, true);
      byte[] third = changed(changed(second, 5, 0xEE), 4095, 0x77);
      assertThat(ByteBufUtil.hexDump(crossing.send(3, 2, third)))
          .isEqualTo(
              "03000000" // round 3
                  + "0000" // region 0
                  + "0100" // one run
                  + "0200000000000000" // from page 2
                  + "01000000" // one page
                  + "04" // DELTA
                  + "000000"
                  + "10000000" // 16 bytes of data
                  + ByteBufUtil.hexDump(
                      Unpooled.buffer().writeIntLE((int) lowHash(third))) // what it must become
                  + "0800" // 8 bytes of difference
                  + "01" // as runs
                  + "00"
                  + "050000" // 5 bytes unchanged, 1 changed
                  + "ee"
                  + "f90f00" // 0xff9 bytes unchanged, 1 changed
                  + "77");
      assertThat(crossing.tally.delta()).isEqualTo(1);
      assertThat(crossing.tally.deltaHits()).isEqualTo(1);
      assertThat(crossing.tally.deltaMisses()).isEqualTo(1);
      assertThat(crossing.tally.pages()).isEqualTo(3);
    }
  }

  private static long lowHash(byte[] page) {
    long[] hash = new long[2];
    PageHash.into(
        hash, MemorySegment.ofBuffer(Unpooled.directBuffer(PAGE).writeBytes(page).nioBuffer()), 0);
    return hash[PageHash.LOW];
  }

  @Test
  void aSparselyChangedPageGoesAsLz4OfTheDifference() throws IOException {
    try (Crossing crossing = new Crossing(32, 8, true)) {
      byte[] page = PageFixture.noise(new Random(1));
      crossing.bases.begin(2, true);
      crossing.send(2, 0, page);
      byte[] next = page.clone();
      for (int at = 3; at < PAGE; at += 8) {
        next[at] ^= 1;
      }
      crossing.bases.begin(3, true);
      byte[] payload = crossing.send(3, 0, next);
      assertThat(payload.length).isLessThan(PAGE / 8);
      assertThat(payload[8 + 16 - 4]).isEqualTo((byte) DELTA);
      assertThat(payload[8 + 20 + PageDelta.FORM_OFFSET]).isEqualTo((byte) PageDelta.XOR_LZ4);
    }
  }

  @Test
  void neighboursShareARun() throws IOException {
    try (Crossing crossing = new Crossing(64, 64, false)) {
      Random random = new Random(2);
      byte[][] pages = new byte[40][];
      for (int i = 0; i < pages.length; i++) {
        pages[i] = PageFixture.noise(random);
      }
      crossing.bases.begin(2, true);
      crossing.send(2, 3, pages);
      for (int i = 0; i < pages.length; i++) {
        pages[i] = changed(pages[i], i, ~pages[i][i]);
      }
      crossing.bases.begin(3, true);
      byte[] payload = crossing.send(3, 3, pages);
      assertThat(payload).hasSize(8 + 3 * 20 + 40 * (PageDelta.HEADER_BYTES + 4));
      assertThat(crossing.image.baseRuns).isEqualTo(3);
    }
  }

  @Test
  void aPageThatDoesNotChangeIsAnEmptyDifference() throws IOException {
    try (Crossing crossing = new Crossing(8, 8, true)) {
      byte[] page = PageFixture.text(new Random(3));
      for (int round = 2; round < 5; round++) {
        crossing.bases.begin(round, true);
        byte[] payload = crossing.send(round, 1, page);
        assertThat(payload.length == 8 + 20 + 8).isEqualTo(round > 2);
      }
    }
  }

  /**
   * Any versions of any pages in any order arrive bit for bit, and at every step each base is what
   * the target has.
   */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void anySequenceOfVersionsArrives(long seed) throws IOException {
    Random random = new Random(seed);
    int pages = 100;
    PageCodec codec = PageFixture.CODECS.get((int) (seed % 3));
    try (Crossing crossing = new Crossing(pages, 1 + random.nextInt(80), codec)) {
      byte[][] guest = new byte[pages][PAGE];
      for (int round = 1; round < 25; round++) {
        if (round == 1 || random.nextInt(12) == 0) {
          crossing.bases.rest();
        } else {
          crossing.bases.begin(round, random.nextInt(12) > 0);
        }
        for (int page = 0; page < pages; ) {
          int count = Math.min(pages - page, 1 + random.nextInt(20));
          if (random.nextInt(6) == 0) {
            for (int i = page; i < page + count; i++) {
              guest[i] = PageFixture.zero();
            }
            ByteBuf frame =
                crossing.encoder.encodeZero(
                    round, 0, List.of(new PageSpan(page, count)), crossing.tally);
            crossing.stripe.zero(0, page, count);
            crossing.decoder.decode(PageFixture.payload(frame), crossing.image);
            frame.release();
          } else if (random.nextInt(3) > 0) {
            for (int i = page; i < page + count; i++) {
              guest[i] = version(guest[i], random);
            }
            crossing.send(round, page, Arrays.copyOfRange(guest, page, page + count));
          }
          page += count;
        }
        assertThat(crossing.image.pages).isDeepEqualTo(guest);
        crossing.assertBasesAreTheTargets();
      }
      assertThat(crossing.tally.delta()).isPositive();
      assertThat(crossing.tally.zstd() > 0).isEqualTo(codec == PageCodec.ZSTD);
    }
  }

  private static byte[] version(byte[] page, Random random) {
    byte[] next = page.clone();
    switch (random.nextInt(8)) {
      case 0 -> random.nextBytes(next);
      case 1 -> Arrays.fill(next, (byte) 0);
      case 2 -> next = PageFixture.text(random);
      case 3 -> {
        for (int at = random.nextInt(9); at < PAGE; at += 1 + random.nextInt(16)) {
          next[at]++;
        }
      }
      case 4 -> next[random.nextInt(PAGE)] ^= (byte) (1 << random.nextInt(8));
      case 5 -> {
        // Unchanged.
      }
      default -> {
        for (int run = random.nextInt(12); run >= 0; run--) {
          int at = random.nextInt(PAGE);
          for (int i = at; i < Math.min(PAGE, at + 30); i++) {
            next[i] = (byte) random.nextInt();
          }
        }
      }
    }
    return next;
  }

  /** Channels send pages at the same time, a page now on this one and then on that one. */
  @Test
  void severalEncodersShareOneCache() throws Exception {
    int channels = 4;
    int pages = 4096;
    ImageLayout layout = PageFixture.layout(pages);
    byte[][] guest = new byte[pages][PAGE];
    byte[][] arrived = new byte[pages][];
    try (BaseCache bases = new BaseCache(layout, 1500L * PAGE);
        ImageDigest digest = new ImageDigest(layout);
        ExecutorService threads = Executors.newFixedThreadPool(channels)) {
      PageFixture.ArrayImage image = new PageFixture.ArrayImage(pages);
      PageTally all = new PageTally();
      List<PageEncoder> encoders = new ArrayList<>();
      List<ImageDigest.Stripe> stripes = new ArrayList<>();
      for (int i = 0; i < channels; i++) {
        encoders.add(
            new PageEncoder(
                PooledByteBufAllocator.DEFAULT,
                new PageEncodings(true, Set.of(PageCodec.LZ4), bases)));
        stripes.add(digest.stripe());
      }
      for (int round = 1; round < 8; round++) {
        if (round > 1) {
          bases.begin(round, true);
        }
        List<Future<PageTally>> shares = new ArrayList<>();
        for (int i = 0; i < channels; i++) {
          int channel = i;
          int of = round;
          shares.add(
              threads.submit(
                  () -> {
                    Random random = new Random(of * 31L + channel);
                    PageTally tally = new PageTally();
                    PageDecoder decoder =
                        new PageDecoder(layout, PooledByteBufAllocator.DEFAULT, PageFixture.ALL);
                    for (int first = 0; first < pages; first += 64) {
                      // Each piece has another channel in each round.
                      if ((first / 64 + of) % channels != channel) {
                        continue;
                      }
                      List<byte[]> contents = new ArrayList<>();
                      for (int page = first; page < first + 64; page++) {
                        guest[page] =
                            of == 1 ? PageFixture.noise(random) : version(guest[page], random);
                        contents.add(guest[page]);
                      }
                      PageEncoder encoder = encoders.get(channel);
                      ByteBuf frame =
                          encoder.encode(
                              of,
                              PageRuns.of(0, first, 64),
                              PageFixture.snapshot(encoder, contents),
                              stripes.get(channel),
                              tally);
                      decoder.decode(PageFixture.payload(frame), image);
                      frame.release();
                    }
                    return tally;
                  }));
        }
        for (Future<PageTally> share : shares) {
          all.add(share.get());
        }
        assertThat(image.pages).isDeepEqualTo(guest);
      }
      encoders.forEach(PageEncoder::close);
      System.arraycopy(image.pages, 0, arrived, 0, pages);
      assertThat(all.delta()).isPositive();
      assertThat(all.deltaOverflows()).isPositive();
      assertThat(all.deltaHits() + all.deltaMisses()).isLessThanOrEqualTo(6L * pages);
    }
    assertThat(arrived).isDeepEqualTo(guest);
  }

  @Test
  void aFullCacheKeepsThePagesThatAreSentAgainMostOften() throws IOException {
    int cached = 20;
    try (Crossing crossing = new Crossing(200, cached, false)) {
      Random random = new Random(4);
      byte[][] guest = new byte[200][];
      for (int page = 0; page < 200; page++) {
        guest[page] = PageFixture.noise(random);
      }
      for (int round = 2; round < 12; round++) {
        crossing.bases.begin(round, true);
        crossing.tally = new PageTally();
        // Pages 0 to 9 in every round; of the others a few come once, by turns.
        for (int page = 0; page < 200; page++) {
          if (page < 10 || page % 10 == round % 10) {
            guest[page] = changed(guest[page], round, random.nextInt());
            crossing.send(round, page, guest[page]);
          }
        }
        assertThat(crossing.assertBasesAreTheTargets()).isLessThanOrEqualTo(cached);
      }
      assertThat(crossing.tally.deltaHits()).isGreaterThanOrEqualTo(10);
      for (int page = 0; page < 10; page++) {
        assertThat(crossing.bases.base(0, page)).isNotNull();
      }
    }
  }

  /** Recency alone would keep nothing of pages that come round and round. */
  @Test
  void asManyPagesAsHaveRoomStayWhenAllComeEquallyOften() throws IOException {
    int cached = 50;
    try (Crossing crossing = new Crossing(100, cached, false)) {
      byte[][] guest = new byte[100][];
      for (int page = 0; page < 100; page++) {
        guest[page] = PageFixture.noise(new Random(page));
      }
      for (int round = 2; round < 6; round++) {
        crossing.bases.begin(round, true);
        crossing.tally = new PageTally();
        for (int page = 0; page < 100; page++) {
          crossing.send(round, page, guest[page]);
        }
      }
      assertThat(crossing.tally.deltaHits()).isEqualTo(cached);
      assertThat(crossing.tally.deltaOverflows()).isEqualTo(100 - cached);
    }
  }

  @Test
  void aPageWhoseDifferenceDidNotPayLeaves() throws IOException {
    try (Crossing crossing = new Crossing(4, 4, true)) {
      for (int round = 2; round < 5; round++) {
        crossing.bases.begin(round, true);
        crossing.send(round, 0, PageFixture.noise(new Random(round)));
        assertThat(crossing.bases.base(0, 0) != null).isEqualTo(round == 2);
      }
      assertThat(crossing.tally.deltaHits()).isEqualTo(1);
      assertThat(crossing.tally.delta()).isZero();
    }
  }

  @Test
  void aBaseThatIsNotTheTargetsIsFoundOut() throws IOException {
    try (Crossing crossing = new Crossing(8, 8, true)) {
      byte[] page = PageFixture.noise(new Random(5));
      crossing.bases.begin(2, true);
      crossing.send(2, 3, page);
      crossing.bases.begin(3, true);
      ByteBuf payload = crossing.encode(3, 3, changed(page, 100, 1));
      crossing.image.pages[3][2000] ^= 4;
      int landed = crossing.image.dataRuns;
      assertThatThrownBy(() -> crossing.decoder.decode(payload, crossing.image))
          .isInstanceOfSatisfying(
              ProtocolException.class,
              e -> assertThat(e.reason()).isEqualTo(AbortReason.DIGEST_MISMATCH))
          .hasMessageContaining("page 3 does not become what was sent");
      assertThat(crossing.image.dataRuns).isEqualTo(landed);
      payload.release();
    }
  }

  @Test
  void eachMutatedByteIsRefusedAndNothingOfItLands() throws IOException {
    for (boolean compress : new boolean[] {false, true}) {
      try (Crossing crossing = new Crossing(8, 8, compress)) {
        Random random = new Random(6);
        byte[] page = PageFixture.noise(random);
        byte[] next = page.clone();
        for (int at = 0; at < PAGE; at += compress ? 16 : 1000) {
          next[at] ^= 1;
        }
        crossing.bases.begin(2, true);
        crossing.send(2, 3, page);
        crossing.bases.begin(3, true);
        byte[] good = crossing.send(3, 3, next);
        crossing.image.pages[3] = page;
        int landed = crossing.image.dataRuns;
        for (int at = 8 + 20; at < good.length; at++) {
          for (int bit = 0; bit < 8; bit++) {
            byte[] mutated = good.clone();
            mutated[at] ^= (byte) (1 << bit);
            ByteBuf payload = allocator.directBuffer().writeBytes(mutated);
            try {
              new PageDecoder(crossing.layout, allocator, PageFixture.ALL)
                  .decode(payload, crossing.image);
              // Bits of an LZ4 block may say the same thing in another way.
              assertThat(crossing.image.pages[3]).isEqualTo(next);
              crossing.image.pages[3] = page;
              landed = crossing.image.dataRuns;
            } catch (ProtocolException e) {
              assertThat(crossing.image.dataRuns).isEqualTo(landed);
            } finally {
              payload.release();
            }
          }
        }
      }
    }
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  @ParameterizedTest
  @CsvSource({
    "0, 17, '', 17 pages as DELTA",
    "0, 1, 00112233445566, 1 pages as DELTA with 7 bytes",
    "0, 2, 0011223344556677, 2 pages as DELTA with 8 bytes",
    "0, 1, 00000000 0100 01 00, a difference of 1 bytes",
    "0, 1, 00000000 f90d 01 00, a difference of 3577 bytes",
    "0, 1, 00000000 ffff 01 00, a difference of 65535 bytes",
    "0, 1, 00000000 0000 00 00, form 0",
    "0, 1, 00000000 0000 03 00, form 3",
    "0, 1, 00000000 0000 02 00, 0 bytes of LZ4",
    "0, 1, 00000000 0000 01 01, reserved",
    "0, 1, 00000000 0300 01 00 ff1f00, 'a run of a difference ends at byte 4097'",
    "0, 1, 00000000 0400 02 00 1f000500, LZ4 block of 4 bytes within a delta is broken",
    "0, 1, 00000000 0200 02 00 1000, 1 bytes",
    "0, 1, 00000000 0000 01 00, does not become what was sent",
    "0, 1, 00000000 0000 01 00 00, does not become what was sent",
    "1, 1, 00000000 0000 01 00, has no content",
  })
  void whatDoesNotFitIsRefused(int first, int pages, String data, String message) {
    PageFixture.ArrayImage image = new PageFixture.ArrayImage(32);
    image.pages[0][0] = 1;
    byte[] bytes = ByteBufUtil.decodeHexDump(data.replace(" ", ""));
    ByteBuf payload = batch(first, pages, bytes);
    assertThatThrownBy(
            () ->
                new PageDecoder(PageFixture.layout(32), allocator, PageFixture.ALL)
                    .decode(payload, image))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining(message);
    assertThat(image.dataRuns).isZero();
    payload.release();
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  @Test
  void surplusBytesBehindTheLastPageAreRefused() {
    PageFixture.ArrayImage image = new PageFixture.ArrayImage(32);
    image.pages[0][0] = 1;
    ByteBuf data =
        Unpooled.buffer()
            .writeIntLE((int) lowHash(image.pages[0]))
            .writeIntLE(0x10000)
            .writeZero(2);
    ByteBuf payload = batch(0, 1, ByteBufUtil.getBytes(data));
    assertThatThrownBy(
            () ->
                new PageDecoder(PageFixture.layout(32), allocator, PageFixture.ALL)
                    .decode(payload, image))
        .hasMessageContaining("2 bytes too many");
    payload.release();
  }

  @Test
  void whatWasNotAgreedOnIsRefused() {
    byte[] empty = ByteBufUtil.decodeHexDump("0000000000000100");
    byte[] packed = ByteBufUtil.decodeHexDump("00000000020002001000");
    for (Capabilities agreed :
        List.of(new Capabilities(Capabilities.LZ4), new Capabilities(Capabilities.DELTA))) {
      ByteBuf payload = batch(0, 1, agreed.has(Capabilities.DELTA) ? packed : empty);
      PageFixture.ArrayImage image = new PageFixture.ArrayImage(32);
      image.pages[0][0] = 1;
      assertThatThrownBy(
              () ->
                  new PageDecoder(PageFixture.layout(32), allocator, agreed).decode(payload, image))
          .isInstanceOf(ProtocolException.class)
          .hasMessageContaining(agreed.has(Capabilities.DELTA) ? "bytes of LZ4" : "as DELTA");
      payload.release();
    }
  }

  private ByteBuf batch(int first, int pages, byte[] data) {
    return allocator
        .directBuffer()
        .writeIntLE(3)
        .writeShortLE(0)
        .writeShortLE(1)
        .writeLongLE(first)
        .writeIntLE(pages)
        .writeByte(DELTA)
        .writeZero(3)
        .writeIntLE(data.length)
        .writeBytes(data);
  }
}
