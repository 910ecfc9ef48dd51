package io.pageferry.protocol.page;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.UnpooledByteBufAllocator;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Found;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ReferencesTest {
  /** Of a page of zeros: SHA-256, computed elsewhere. */
  private static final String ZEROS =
      "ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7";

  private static final int PAGES = 48;

  private final UnpooledByteBufAllocator allocator = new UnpooledByteBufAllocator(true);

  private static String digest(byte[] page) {
    ByteBuffer memory = ByteBuffer.allocateDirect(4096).put(page);
    return ByteBufUtil.hexDump(new ContentHash().of(memory, 0));
  }

  @Test
  void theDigestIsTheWholeOfSha256() {
    assertThat(digest(PageFixture.zero())).isEqualTo(ZEROS);
  }

  /** The golden bytes of PROTOCOL.md, but for the digests. */
  @Test
  void neighboursAreOneRunAndZerosAreLeftOut() {
    byte[] first = PageFixture.noise(new Random(1));
    byte[] second = PageFixture.text(new Random(2));
    try (PageEncoder encoder = new PageEncoder(allocator, true)) {
      ByteBuf snapshot =
          PageFixture.snapshot(encoder, List.of(first, second, PageFixture.zero(), first));
      ReferredPages referred = new ReferredPages();
      PageTally tally = new PageTally();
      ByteBuf frame =
          Objects.requireNonNull(
              encoder.refer(3, PageRuns.of(1, 258, 4), snapshot, referred, tally));
      assertThat(tally.wireBytes()).isEqualTo(frame.readableBytes());
      assertThat(ByteBufUtil.hexDump(PageFixture.payload(frame)))
          .isEqualTo(
              "03000000" // round 3
                  + "0100" // region 1
                  + "0200" // two runs
                  + "0201000000000000" // from page 258
                  + "02000000" // two pages
                  + "07" // REFERENCE
                  + "000000"
                  + "40000000" // 64 bytes
                  + digest(first)
                  + digest(second)
                  + "0501000000000000"
                  + "01000000"
                  + "07"
                  + "000000"
                  + "20000000"
                  + digest(first));
      assertThat(referred.count()).isEqualTo(3);
      frame.release();
      snapshot.release();
    }
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  @Test
  void whereThereIsNothingToReferToThereIsNoFrame() {
    try (PageEncoder encoder = new PageEncoder(allocator, true)) {
      ByteBuf snapshot = PageFixture.snapshot(encoder, List.of(PageFixture.zero()));
      PageTally tally = new PageTally();
      assertThat(encoder.refer(1, PageRuns.of(0, 0, 1), snapshot, new ReferredPages(), tally))
          .isNull();
      assertThat(tally.frames()).isZero();
      snapshot.release();
    }
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  @Test
  void anAnswerOfAnotherNumberOfPagesIsRefused() {
    ReferredPages referred = new ReferredPages();
    referred.add(4);
    Found two = new Found(1, new byte[] {Found.HELD, Found.HELD});
    assertThatThrownBy(() -> referred.found(two)).isInstanceOf(ProtocolException.class);
    assertThat(referred.held(4)).isFalse();
  }

  /** Any pages, of which any are found, wanted, or put off and asked for once more. */
  @ParameterizedTest
  @EnumSource(PageCodec.class)
  void whateverIsFoundEverythingArrives(PageCodec codec) throws IOException {
    Random random = new Random(7);
    ImageLayout layout = PageFixture.layout(PAGES);
    for (int walk = 0; walk < 60; walk++) {
      List<byte[]> pages = new ArrayList<>();
      for (int page = 0; page < PAGES; page++) {
        pages.add(
            switch (random.nextInt(4)) {
              case 0 -> PageFixture.zero();
              case 1 -> PageFixture.text(random);
              case 2 -> page > 0 ? pages.get(random.nextInt(page)) : PageFixture.noise(random);
              default -> PageFixture.noise(random);
            });
      }
      try (ImageDigest sent = new ImageDigest(layout);
          ImageDigest landed = new ImageDigest(layout);
          PageDecoder decoder = new PageDecoder(layout, allocator, PageFixture.ALL);
          PageEncoder encoder =
              new PageEncoder(allocator, new PageEncodings(true, Set.of(codec), null))) {
        Finder there = new Finder(random, landed.stripe());
        for (byte[] page : pages) {
          if (random.nextInt(3) == 0) {
            there.known.put(digest(page), page);
          }
        }
        PageTally tally = new PageTally();
        List<Integer> left = new ArrayList<>();
        for (int page = 0; page < PAGES; page++) {
          left.add(page);
        }
        while (!left.isEmpty()) {
          left = send(pages, left, encoder, decoder, there, sent.stripe(), tally);
        }
        assertThat(there.image.pages).isDeepEqualTo(pages.toArray(byte[][]::new));
        assertThat(landed.value()).isEqualTo(sent.value());
        assertThat(tally.pages()).isEqualTo(PAGES);
        assertThat(tally.deduplicated()).isEqualTo(there.found);
      }
    }
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }

  /** Returns what was put off. */
  private static List<Integer> send(
      List<byte[]> pages,
      List<Integer> numbers,
      PageEncoder encoder,
      PageDecoder decoder,
      Finder there,
      ImageDigest.Stripe digest,
      PageTally tally)
      throws IOException {
    PageRuns runs = new Scattered(numbers);
    ByteBuf snapshot = PageFixture.snapshot(encoder, numbers.stream().map(pages::get).toList());
    ReferredPages referred = new ReferredPages();
    ByteBuf asked = encoder.refer(1, runs, snapshot, referred, tally);
    if (asked != null) {
      there.findings = new byte[0];
      decoder.decode(PageFixture.payload(asked), there);
      asked.release();
      referred.found(new Found(1, there.findings));
    }
    List<Integer> later = new ArrayList<>();
    for (int place = 0; place < numbers.size(); place++) {
      if (referred.coming(place)) {
        later.add(numbers.get(place));
      }
    }
    ByteBuf frame = encoder.encode(1, runs, snapshot, referred, digest, tally);
    if (frame != null) {
      decoder.decode(PageFixture.payload(frame), there);
      frame.release();
    }
    return later;
  }

  /** Each page a run of its own. */
  private record Scattered(List<Integer> numbers) implements PageRuns {
    @Override
    public int region() {
      return 0;
    }

    @Override
    public int runs() {
      return numbers.size();
    }

    @Override
    public int pages() {
      return numbers.size();
    }

    @Override
    public long firstPage(int run) {
      return numbers.get(run);
    }

    @Override
    public int count(int run) {
      return 1;
    }
  }

  /** Finds what it knows, and puts off some of what it does not. */
  private static final class Finder implements PageSink {
    private final Random random;
    private final ImageDigest.Stripe digest;
    private final PageFixture.ArrayImage image = new PageFixture.ArrayImage(PAGES);
    private final Map<String, byte[]> known = new HashMap<>();
    private byte[] findings = {};
    private long found;

    Finder(Random random, ImageDigest.Stripe digest) {
      this.random = random;
      this.digest = digest;
    }

    @Override
    public void references(int round, int region, long first, int count, ByteBuf digests)
        throws IOException {
      for (int i = 0; i < count; i++) {
        byte[] page = known.get(ByteBufUtil.hexDump(digests, digests.readerIndex() + i * 32, 32));
        findings = Arrays.copyOf(findings, findings.length + 1);
        findings[findings.length - 1] =
            page != null ? Found.HELD : random.nextInt(3) == 0 ? Found.COMING : Found.WANTED;
        if (page != null) {
          found++;
          ByteBuf data = UnpooledByteBufAllocator.DEFAULT.directBuffer(4096).writeBytes(page);
          pages(round, region, first + i, data);
          data.release();
        }
      }
    }

    @Override
    public void zero(int round, int region, long first, long count) {
      image.zero(round, region, first, count);
      digest.zero(region, first, count);
    }

    @Override
    public void pages(int round, int region, long first, ByteBuf data) throws IOException {
      image.pages(round, region, first, data);
      digest.pages(region, first, data);
    }
  }

  /** What is in front of a page that is left out, or behind it, is not sent in its place. */
  @Test
  void aRawPageBehindOneThatWasFoundIsNotTakenForTheFirst() throws IOException {
    List<byte[]> pages = new ArrayList<>(Collections.nCopies(3, PageFixture.noise(new Random(1))));
    pages.set(1, PageFixture.noise(new Random(2)));
    ImageLayout layout = PageFixture.layout(3);
    for (int found = 0; found < 3; found++) {
      try (ImageDigest sent = new ImageDigest(layout);
          PageDecoder decoder = new PageDecoder(layout, allocator, PageFixture.ALL);
          PageEncoder encoder = new PageEncoder(allocator, false)) {
        ByteBuf snapshot = PageFixture.snapshot(encoder, pages);
        PageRuns runs = PageRuns.of(0, 0, 3);
        PageTally tally = new PageTally();
        ReferredPages referred = new ReferredPages();
        ByteBuf asked = Objects.requireNonNull(encoder.refer(1, runs, snapshot, referred, tally));
        asked.release();
        byte[] findings = {Found.WANTED, Found.WANTED, Found.WANTED};
        findings[found] = Found.HELD;
        referred.found(new Found(1, findings));
        ByteBuf frame =
            Objects.requireNonNull(
                encoder.encode(1, runs, snapshot, referred, sent.stripe(), tally));
        PageFixture.ArrayImage image = new PageFixture.ArrayImage(3);
        decoder.decode(PageFixture.payload(frame), image);
        frame.release();
        for (int page = 0; page < 3; page++) {
          assertThat(image.pages[page])
              .isEqualTo(page == found ? PageFixture.zero() : pages.get(page));
        }
        assertThat(tally.raw()).isEqualTo(2);
      }
    }
    assertThat(allocator.metric().usedDirectMemory()).isZero();
  }
}
