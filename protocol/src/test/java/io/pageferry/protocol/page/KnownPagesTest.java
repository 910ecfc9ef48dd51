package io.pageferry.protocol.page;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.Recall;
import io.pageferry.protocol.message.Recalled;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class KnownPagesTest {
  private static final PooledByteBufAllocator ALLOCATOR = PooledByteBufAllocator.DEFAULT;
  private static final byte[] SALT = new byte[Recall.SALT_BYTES];
  private static final int PAGES = 96;

  /** Of a page of zeros with a salt of zeros: SHA-256, computed elsewhere. */
  private static final String ZEROS = "2e534ef0107d592d1706ac38ad58596b";

  @Test
  void theDigestOfAPageIsSaltedSha256CutShort() {
    ByteBuffer page = ByteBuffer.allocateDirect(4096);
    byte[] digest = new ContentDigest(SALT).of(page, 0);
    assertThat(ByteBufUtil.hexDump(digest, 0, Recalled.DIGEST_BYTES)).isEqualTo(ZEROS);
    byte[] salt = SALT.clone();
    salt[31] = 1;
    assertThat(new ContentDigest(salt).of(page, 0)).isNotEqualTo(digest);
  }

  /** Any pages, of which the target has some, some others, and some in another version. */
  @Test
  void onlyWhatIsThereInThisVeryVersionGoesByName() throws IOException {
    Random random = new Random(1);
    ImageLayout layout = PageFixture.layout(3, PAGES);
    Target there = new Target(PAGES);
    List<byte[]> pages = new ArrayList<>();
    byte[] digests = new byte[PAGES * Recalled.DIGEST_BYTES];
    ContentDigest digest = new ContentDigest(SALT);
    int same = 0;
    for (int page = 0; page < PAGES; page++) {
      pages.add(
          switch (random.nextInt(3)) {
            case 0 -> PageFixture.zero();
            case 1 -> PageFixture.text(random);
            default -> PageFixture.noise(random);
          });
      boolean zero = Arrays.equals(pages.get(page), PageFixture.zero());
      switch (random.nextInt(4)) {
        case 0 -> {}
        case 1 -> there.pages[page] = PageFixture.noise(random);
        default -> {
          there.pages[page] = pages.get(page).clone();
          same += zero ? 0 : 1;
        }
      }
      if (!Arrays.equals(there.pages[page], PageFixture.zero())) {
        ByteBuffer memory = ByteBuffer.allocateDirect(4096).put(there.pages[page]);
        System.arraycopy(digest.of(memory, 0), 0, digests, page * 16, 16);
      }
    }
    try (KnownPages known = new KnownPages(layout, SALT);
        PageEncoder encoder =
            new PageEncoder(
                ALLOCATOR, new PageEncodings(true, Set.of(PageCodec.LZ4), null, known));
        ImageDigest sent = new ImageDigest(layout)) {
      known.take(new Recalled(1, true, 0, digests));
      assertThat(known.open()).isFalse();
      PageTally tally = new PageTally();
      ByteBuf frame =
          encoder.encode(
              1,
              PageRuns.of(1, 0, PAGES),
              PageFixture.snapshot(encoder, pages),
              sent.stripe(),
              tally);
      there.land(layout, PageFixture.payload(frame));
      frame.release();
      assertThat(there.pages).isDeepEqualTo(pages.toArray(byte[][]::new));
      assertThat(tally.known()).isEqualTo(same).isPositive();
      assertThat(tally.pages()).isEqualTo(PAGES);

      // The running digest counts what is only named, too.
      try (ImageDigest whole = new ImageDigest(layout)) {
        ImageDigest.Stripe stripe = whole.stripe();
        stripe.pages(1, 0, Unpooled.directBuffer().writeBytes(flat(pages)));
        assertThat(sent.value()).isEqualTo(whole.value());
      }
    }
  }

  private static byte[] flat(List<byte[]> pages) {
    byte[] all = new byte[pages.size() * 4096];
    for (int page = 0; page < pages.size(); page++) {
      System.arraycopy(pages.get(page), 0, all, page * 4096, 4096);
    }
    return all;
  }

  /** What comes as known stays as it is. */
  private static final class Target {
    private final byte[][] pages;

    Target(int count) {
      pages = new byte[count][4096];
    }

    void land(ImageLayout layout, ByteBuf payload) throws IOException {
      try (PageDecoder decoder = new PageDecoder(layout, ALLOCATOR, PageFixture.ALL)) {
        decoder.decode(
            payload,
            new PageSink() {
              @Override
              public void zero(int round, int region, long first, long count) {
                for (long page = first; page < first + count; page++) {
                  pages[(int) page] = PageFixture.zero();
                }
              }

              @Override
              public void pages(int round, int region, long first, ByteBuf data) {
                for (int at = 0; at < data.readableBytes(); at += 4096) {
                  data.getBytes(data.readerIndex() + at, pages[(int) first + at / 4096]);
                }
              }

              @Override
              public void known(int round, int region, long first, int count) {
                assertThat(round).isEqualTo(1);
              }
            });
      }
    }
  }

  @Test
  void nothingIsKnownWithoutThatCapability() {
    ImageLayout layout = PageFixture.layout(8);
    Capabilities without = new Capabilities(PageFixture.ALL.bits() & ~Capabilities.KNOWN);
    try (PageDecoder decoder = new PageDecoder(layout, ALLOCATOR, without)) {
      ByteBuf payload =
          Unpooled.wrappedBuffer(
              ByteBufUtil.decodeHexDump(
                  "01000000"
                      + "0000"
                      + "0100"
                      + "0200000000000000"
                      + "01000000"
                      + "05"
                      + "000000"
                      + "00000000"));
      assertThatThrownBy(() -> decoder.decode(payload, new PageFixture.ArrayImage(8)))
          .isInstanceOf(ProtocolException.class)
          .hasMessageContaining("KNOWN");
    }
  }

  /** The golden bytes of PROTOCOL.md. */
  @Test
  void aPageThatIsKnownIsARunHeader() throws IOException {
    ImageLayout layout = PageFixture.layout(8);
    byte[] page = PageFixture.noise(new Random(2));
    ByteBuffer memory = ByteBuffer.allocateDirect(4096).put(page);
    try (KnownPages known = new KnownPages(layout, SALT);
        PageEncoder encoder =
            new PageEncoder(
                ALLOCATOR, new PageEncodings(true, Set.of(PageCodec.RAW), null, known));
        ImageDigest digest = new ImageDigest(layout)) {
      byte[] named = Arrays.copyOf(new ContentDigest(SALT).of(memory, 0), 16);
      known.take(new Recalled(0, false, 2, named));
      ByteBuf frame =
          encoder.encode(
              1,
              PageRuns.of(0, 2, 1),
              PageFixture.snapshot(encoder, List.of(page)),
              digest.stripe(),
              new PageTally());
      assertThat(ByteBufUtil.hexDump(PageFixture.payload(frame)))
          .isEqualTo(
              "01000000"
                  + "0000"
                  + "0100"
                  + "0200000000000000"
                  + "01000000"
                  + "05"
                  + "000000"
                  + "00000000");
      frame.release();
    }
  }

  @Test
  void aSenderWaitsForTheTargetsWordAndNotForever() throws Exception {
    try (KnownPages known = new KnownPages(PageFixture.layout(8, 8), SALT)) {
      known.take(new Recalled(0, false, 2, new byte[32]));
      known.await(0, 4);
      CountDownLatch further = waiting(known, 1, 3);
      known.take(new Recalled(1, false, 0, new byte[32]));
      assertThat(further.await(50, TimeUnit.MILLISECONDS)).isFalse();
      known.take(new Recalled(1, false, 2, new byte[16]));
      assertThat(further.await(30, TimeUnit.SECONDS)).isTrue();
      CountDownLatch beyond = waiting(known, 1, 8);
      known.rest();
      assertThat(beyond.await(30, TimeUnit.SECONDS)).isTrue();
      assertThat(known.open()).isFalse();
    }
  }

  private static CountDownLatch waiting(KnownPages known, int region, long endPage) {
    CountDownLatch done = new CountDownLatch(1);
    Thread.ofVirtual()
        .start(
            () -> {
              try {
                known.await(region, endPage);
                done.countDown();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    return done;
  }
}
