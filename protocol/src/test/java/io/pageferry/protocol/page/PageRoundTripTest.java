package io.pageferry.protocol.page;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.PageSpan;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PageRoundTripTest {
  private static final PooledByteBufAllocator ALLOCATOR = PooledByteBufAllocator.DEFAULT;

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
  void anyMixOfPagesInAnyRunsArrivesAsItWas(long seed) throws IOException {
    Random random = new Random(seed);
    ImageLayout layout = PageFixture.layout(5, 600);
    byte[][] expected = new byte[600][PageBatch.PAGE_BYTES];
    PageFixture.ArrayImage image = new PageFixture.ArrayImage(600);
    PageCodec codec = PageFixture.CODECS.get((int) (seed % 3));
    try (PageEncoder encoder =
            new PageEncoder(ALLOCATOR, new PageEncodings(true, Set.of(codec), null));
        ImageDigest sent = new ImageDigest(layout);
        ImageDigest landed = new ImageDigest(layout);
        PageDecoder decoder = new PageDecoder(layout, ALLOCATOR, PageFixture.ALL)) {
      ImageDigest.Stripe sending = sent.stripe();
      ImageDigest.Stripe landing = landed.stripe();
      PageTally tally = new PageTally();
      long wireBytes = 0;
      long pages = 0;
      for (int batch = 0; batch < 60; batch++) {
        List<byte[]> contents = new ArrayList<>();
        Runs runs = someRuns(random, 600);
        for (int page : runs.numbers()) {
          expected[page] = somePage(random);
          contents.add(expected[page]);
        }
        ByteBuf frame =
            encoder.encode(7, runs, PageFixture.snapshot(encoder, contents), sending, tally);
        wireBytes += frame.readableBytes();
        pages += contents.size();
        assertThat(FrameHeader.check(frame, frame.readerIndex(), FrameHeader.MAX_PAYLOAD))
            .isEqualTo(FrameType.PAGES);
        ByteBuf payload = PageFixture.payload(frame);
        assertThat(PageBatch.round(payload)).isEqualTo(7);
        decoder.decode(payload, image);
        decoder.decode(payload, digesting(landing));
        assertThat(frame.refCnt()).isEqualTo(1);
        frame.release();
      }
      assertThat(image.pages).isDeepEqualTo(expected);
      assertThat(landed.value()).isEqualTo(sent.value());
      assertThat(tally.wireBytes()).isEqualTo(wireBytes);
      assertThat(tally.pages()).isEqualTo(pages);
      assertThat(tally.frames()).isEqualTo(60);
      assertThat(tally.lz4() > 0).isEqualTo(codec == PageCodec.LZ4);
      assertThat(tally.zstd() > 0).isEqualTo(codec == PageCodec.ZSTD);
    }
  }

  @Test
  void oneRawRunIsNotCopied() {
    ImageLayout layout = PageFixture.layout(240);
    Random random = new Random(9);
    List<byte[]> pages = new ArrayList<>();
    for (int i = 0; i < 240; i++) {
      pages.add(PageFixture.noise(random));
    }
    try (PageEncoder encoder = new PageEncoder(ALLOCATOR, false);
        ImageDigest digest = new ImageDigest(layout)) {
      ByteBuf snapshot = PageFixture.snapshot(encoder, pages);
      ByteBuf frame =
          encoder.encode(1, PageRuns.of(0, 0, 240), snapshot, digest.stripe(), new PageTally());
      assertThat(frame).isSameAs(snapshot);
      assertThat(frame.readableBytes()).isEqualTo(16 + 8 + 20 + 240 * 4096);
      frame.release();
    }
  }

  @Test
  void theWorstMixStillFitsIntoOneFrame() throws IOException {
    // Each page a run of its own: raw pages between zero pages, then raw pages with gaps.
    ImageLayout layout = PageFixture.layout(480);
    Random random = new Random(10);
    List<byte[]> raw = new ArrayList<>();
    int[] numbers = new int[240];
    for (int i = 0; i < 240; i++) {
      raw.add(PageFixture.noise(random));
      numbers[i] = 2 * i;
    }
    try (PageEncoder encoder = new PageEncoder(ALLOCATOR, true);
        ImageDigest digest = new ImageDigest(layout)) {
      ByteBuf frame =
          encoder.encode(
              1,
              Runs.single(0, numbers),
              PageFixture.snapshot(encoder, raw),
              digest.stripe(),
              new PageTally());
      assertThat(frame.readableBytes())
          .isEqualTo(16 + 8 + 240 * (20 + 4096))
          .isLessThanOrEqualTo(FrameHeader.BYTES + FrameHeader.MAX_PAYLOAD);
      PageFixture.ArrayImage image = new PageFixture.ArrayImage(480);
      new PageDecoder(layout, ALLOCATOR, PageFixture.ALL).decode(PageFixture.payload(frame), image);
      assertThat(image.dataRuns).isEqualTo(240);
      assertThat(image.pages[478]).isEqualTo(raw.get(239));
      frame.release();
    }
  }

  @Test
  void neighboursOfOneEncodingFormOneRun() throws IOException {
    Random random = new Random(11);
    List<byte[]> pages =
        List.of(
            PageFixture.zero(),
            PageFixture.zero(),
            PageFixture.noise(random),
            PageFixture.noise(random),
            PageFixture.noise(random),
            PageFixture.zero());
    ImageLayout layout = PageFixture.layout(100);
    try (PageEncoder encoder = new PageEncoder(ALLOCATOR, false);
        ImageDigest digest = new ImageDigest(layout)) {
      PageTally tally = new PageTally();
      // The run is told in two parts that touch: 10 to 12 and 13 to 15.
      Runs runs = new Runs(0, new int[][] {{10, 3}, {13, 3}});
      ByteBuf frame =
          encoder.encode(1, runs, PageFixture.snapshot(encoder, pages), digest.stripe(), tally);
      assertThat(frame.readableBytes()).isEqualTo(16 + 8 + 3 * 20 + 3 * 4096);
      assertThat(tally.zero()).isEqualTo(3);
      assertThat(tally.raw()).isEqualTo(3);
      PageFixture.ArrayImage image = new PageFixture.ArrayImage(100);
      new PageDecoder(layout, ALLOCATOR, PageFixture.ALL).decode(PageFixture.payload(frame), image);
      assertThat(image.zeroRuns).isEqualTo(2);
      assertThat(image.dataRuns).isEqualTo(1);
      frame.release();
    }
  }

  @Test
  void textShrinksAndHolesCostAFewBytes() throws IOException {
    ImageLayout layout = PageFixture.layout(1L << 30);
    Random random = new Random(12);
    List<byte[]> pages = new ArrayList<>();
    for (int i = 0; i < 240; i++) {
      pages.add(PageFixture.text(random));
    }
    ImageLayout small = PageFixture.layout(240);
    try (PageEncoder encoder = new PageEncoder(ALLOCATOR, true);
        ImageDigest digest = new ImageDigest(small)) {
      PageTally tally = new PageTally();
      ByteBuf frame =
          encoder.encode(
              1,
              PageRuns.of(0, 0, 240),
              PageFixture.snapshot(encoder, pages),
              digest.stripe(),
              tally);
      assertThat(tally.lz4()).isEqualTo(240);
      assertThat(frame.readableBytes()).isLessThan(240 * 4096 / 2);
      frame.release();

      ByteBuf holes =
          encoder.encodeZero(
              1, 0, List.of(new PageSpan(0, 5), new PageSpan(9, (1L << 30) - 9)), tally);
      assertThat(holes.readableBytes()).isEqualTo(16 + 8 + 2 * 20);
      assertThat(tally.zero()).isEqualTo((1L << 30) - 4);
      List<PageSpan> heard = new ArrayList<>();
      new PageDecoder(layout, ALLOCATOR, PageFixture.ALL)
          .decode(
              PageFixture.payload(holes),
              new PageSink() {
                @Override
                public void zero(int round, int region, long firstPage, long count) {
                  heard.add(new PageSpan(firstPage, count));
                }

                @Override
                public void pages(int round, int region, long firstPage, ByteBuf data) {
                  throw new AssertionError("no page has content");
                }
              });
      assertThat(heard).containsExactly(new PageSpan(0, 5), new PageSpan(9, (1L << 30) - 9));
      holes.release();
    }
  }

  @Test
  void zstdShrinksTextFurtherThanLz4AndPacksLongerRuns() throws IOException {
    ImageLayout layout = PageFixture.layout(240);
    Random random = new Random(13);
    List<byte[]> pages = new ArrayList<>();
    for (int i = 0; i < 240; i++) {
      pages.add(PageFixture.text(random));
    }
    int[] bytes = new int[2];
    for (PageCodec codec : List.of(PageCodec.LZ4, PageCodec.ZSTD)) {
      PageFixture.ArrayImage image = new PageFixture.ArrayImage(240);
      try (PageEncoder encoder =
              new PageEncoder(ALLOCATOR, new PageEncodings(true, Set.of(codec), null));
          PageDecoder decoder = new PageDecoder(layout, ALLOCATOR, PageFixture.ALL);
          ImageDigest digest = new ImageDigest(layout)) {
        PageTally tally = new PageTally();
        ByteBuf frame =
            encoder.encode(
                1,
                PageRuns.of(0, 0, 240),
                PageFixture.snapshot(encoder, pages),
                digest.stripe(),
                tally);
        bytes[codec == PageCodec.ZSTD ? 1 : 0] = frame.readableBytes();
        decoder.decode(PageFixture.payload(frame), image);
        frame.release();
        assertThat(codec == PageCodec.ZSTD ? tally.zstd() : tally.lz4()).isEqualTo(240);
        assertThat(image.pages).isDeepEqualTo(pages.toArray(byte[][]::new));
        assertThat(image.dataRuns).isEqualTo(codec == PageCodec.ZSTD ? 4 : 15);
      }
    }
    assertThat(bytes[1]).isLessThan(bytes[0] * 3 / 4);
  }

  private static PageSink digesting(ImageDigest.Stripe stripe) {
    return new PageSink() {
      @Override
      public void zero(int round, int region, long firstPage, long count) {
        stripe.zero(region, firstPage, count);
      }

      @Override
      public void pages(int round, int region, long firstPage, ByteBuf data) {
        stripe.pages(region, firstPage, data);
      }
    };
  }

  private static byte[] somePage(Random random) {
    return switch (random.nextInt(3)) {
      case 0 -> PageFixture.zero();
      case 1 -> PageFixture.text(random);
      default -> PageFixture.noise(random);
    };
  }

  private static Runs someRuns(Random random, int imagePages) {
    List<int[]> runs = new ArrayList<>();
    int next = 0;
    int pages = 0;
    do {
      int first = next + random.nextInt(10);
      int count = Math.min(1 + random.nextInt(40), PageBatch.MAX_PAGES - pages);
      if (first + count > imagePages) {
        break;
      }
      runs.add(new int[] {first, count});
      pages += count;
      next = first + count;
    } while (pages < PageBatch.MAX_PAGES && random.nextInt(20) != 0);
    return new Runs(1, runs.toArray(int[][]::new));
  }

  @SuppressWarnings("ArrayRecordComponent") // never compared
  private record Runs(int region, int[][] spans) implements PageRuns {
    static Runs single(int region, int[] numbers) {
      int[][] spans = new int[numbers.length][];
      for (int i = 0; i < numbers.length; i++) {
        spans[i] = new int[] {numbers[i], 1};
      }
      return new Runs(region, spans);
    }

    List<Integer> numbers() {
      List<Integer> numbers = new ArrayList<>();
      for (int[] span : spans) {
        for (int i = 0; i < span[1]; i++) {
          numbers.add(span[0] + i);
        }
      }
      return numbers;
    }

    @Override
    public int runs() {
      return spans.length;
    }

    @Override
    public int pages() {
      return numbers().size();
    }

    @Override
    public long firstPage(int run) {
      return spans[run][0];
    }

    @Override
    public int count(int run) {
      return spans[run][1];
    }
  }

  @Test
  void pagesOfZerosMayHaveToGoAsTheyAre() throws IOException {
    ImageLayout layout = PageFixture.layout(4);
    PageFixture.ArrayImage image = new PageFixture.ArrayImage(4);
    byte[] noise = PageFixture.noise(new Random(1));
    image.pages[0] = noise.clone();
    try (PageEncoder encoder =
            new PageEncoder(ALLOCATOR, new PageEncodings(false, Set.of(PageCodec.RAW), null));
        ImageDigest digest = new ImageDigest(layout)) {
      PageTally tally = new PageTally();
      ByteBuf snapshot =
          PageFixture.snapshot(encoder, List.of(PageFixture.zero(), noise, PageFixture.zero()));
      ByteBuf frame = encoder.encode(1, PageRuns.of(0, 0, 3), snapshot, digest.stripe(), tally);
      new PageDecoder(layout, ALLOCATOR, new Capabilities(0))
          .decode(PageFixture.payload(frame), image);
      frame.release();
      assertThat(tally.raw()).isEqualTo(3);
      assertThat(image.pages[0]).isEqualTo(PageFixture.zero());
      assertThat(image.pages[1]).isEqualTo(noise);
    }
  }
}
