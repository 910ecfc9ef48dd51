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
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

@Timeout(60)
class KnownPagesTest {
  private static final PooledByteBufAllocator ALLOCATOR = PooledByteBufAllocator.DEFAULT;
  private static final byte[] SALT = new byte[Recall.SALT_BYTES];
  private static final int PAGES = 96;

  /** Of 512 bytes of zeros with a salt of zeros: SHA-256, computed elsewhere. */
  private static final String ZEROS = "44ddd2f478477ebd";

  @Test
  void theDigestOfAPartIsSaltedSha256CutShort() {
    ByteBuffer page = ByteBuffer.allocateDirect(4096);
    byte[] digests = new PartDigests(SALT).of(page, 0);
    assertThat(ByteBufUtil.hexDump(digests, 0, Recalled.DIGEST_BYTES)).isEqualTo(ZEROS.repeat(8));
    byte[] salt = SALT.clone();
    salt[31] = 1;
    assertThat(new PartDigests(salt).of(page, 0)).isNotEqualTo(digests);
    page.put(3 * 512 + 511, (byte) 1);
    byte[] changed = new PartDigests(SALT).of(page, 0);
    for (int part = 0; part < 8; part++) {
      boolean same = ByteBufUtil.hexDump(changed, part * 8, 8).equals(ZEROS);
      assertThat(same).as("part %d", part).isEqualTo(part != 3);
    }
  }

  /** Any pages, of which the target has some, some others, some in part; by any codec. */
  @ParameterizedTest
  @EnumSource(PageCodec.class)
  void onlyWhatTheTargetLacksCrosses(PageCodec codec) throws IOException {
    for (int seed = 0; seed < 40; seed++) {
      ImageLayout layout = PageFixture.layout(3, PAGES);
      Some some = new Some(new Random(seed));
      try (KnownPages known = new KnownPages(layout, SALT);
          PageEncoder encoder =
              new PageEncoder(ALLOCATOR, new PageEncodings(true, Set.of(codec), null, known));
          ImageDigest sent = new ImageDigest(layout)) {
        known.take(new Recalled(1, true, 0, some.digests));
        assertThat(known.open()).isFalse();
        PageTally tally = new PageTally();
        ByteBuf frame =
            encoder.encode(
                1,
                PageRuns.of(1, 0, PAGES),
                PageFixture.snapshot(encoder, some.pages),
                sent.stripe(),
                tally);
        int bytes = frame.readableBytes();
        try (PageDecoder decoder = new PageDecoder(layout, ALLOCATOR, PageFixture.ALL)) {
          decoder.decode(PageFixture.payload(frame), some.there);
        } finally {
          frame.release();
        }
        assertThat(some.there.pages).isDeepEqualTo(some.pages.toArray(byte[][]::new));
        assertThat(tally.known()).isEqualTo(some.same);
        assertThat(tally.partlyKnown()).isEqualTo(some.partly);
        assertThat(tally.pages()).isEqualTo(PAGES);
        assertThat(bytes).isLessThan(some.lackingBytes + PAGES * 24 + 100);

        // The running digest counts what does not cross, too.
        try (ImageDigest whole = new ImageDigest(layout)) {
          ImageDigest.Stripe stripe = whole.stripe();
          ByteBuf all = Unpooled.directBuffer().writeBytes(flat(some.pages));
          stripe.pages(1, 0, all);
          all.release();
          assertThat(sent.value()).isEqualTo(whole.value());
        }
      }
    }
  }

  /** What the source has, what is there of it, and what was said of that. */
  private static final class Some {
    final List<byte[]> pages = new ArrayList<>();
    final PageFixture.ArrayImage there = new PageFixture.ArrayImage(PAGES);
    final byte[] digests = new byte[PAGES * Recalled.DIGEST_BYTES];
    int same;
    int partly;

    /** As they are; whole pages between those that are there in part may go with them. */
    int lackingBytes;

    Some(Random random) {
      PartDigests digest = new PartDigests(SALT);
      for (int page = 0; page < PAGES; page++) {
        byte[] content =
            switch (random.nextInt(8)) {
              case 0 -> PageFixture.zero();
              case 1, 2, 3 -> PageFixture.text(random);
              default -> PageFixture.noise(random);
            };
        pages.add(content);
        boolean zero = Arrays.equals(content, PageFixture.zero());
        byte[] had = content.clone();
        int lacking = zero ? 0 : 8;
        switch (random.nextInt(6)) {
          case 0 -> had = PageFixture.zero();
          case 1 -> had = PageFixture.noise(random);
          case 2, 3 -> {
            int changed = 1 + random.nextInt(255);
            for (int part = 0; part < 8; part++) {
              if ((changed & 1 << part) != 0) {
                had[part * 512 + random.nextInt(512)] ^= (byte) (1 + random.nextInt(255));
              }
            }
            lacking = zero ? 0 : Integer.bitCount(changed);
            partly += zero || lacking == 8 ? 0 : 1;
          }
          default -> {
            lacking = 0;
            same += zero ? 0 : 1;
          }
        }
        lackingBytes += lacking * 512;
        there.pages[page] = had;
        if (!Arrays.equals(had, PageFixture.zero())) {
          ByteBuffer memory = ByteBuffer.allocateDirect(4096).put(had);
          int at = page * Recalled.DIGEST_BYTES;
          System.arraycopy(digest.of(memory, 0), 0, digests, at, Recalled.DIGEST_BYTES);
        }
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

  private static ByteBuf payload(String... hex) {
    return Unpooled.wrappedBuffer(ByteBufUtil.decodeHexDump(String.join("", hex)));
  }

  private static void assertRefused(Capabilities agreed, String message, String... hex) {
    ImageLayout layout = PageFixture.layout(8);
    try (PageDecoder decoder = new PageDecoder(layout, ALLOCATOR, agreed)) {
      PageFixture.ArrayImage image = new PageFixture.ArrayImage(8);
      assertThatThrownBy(() -> decoder.decode(payload(hex), image))
          .isInstanceOf(ProtocolException.class)
          .hasMessageContaining(message);
      assertThat(image.dataRuns).as("nothing has landed").isZero();
    }
  }

  private static final String BATCH = "01000000" + "0000" + "0100" + "0200000000000000";

  @Test
  void nothingIsKnownWithoutThatCapability() {
    Capabilities without = new Capabilities(PageFixture.ALL.bits() & ~Capabilities.KNOWN);
    assertRefused(without, "KNOWN", BATCH, "01000000", "05", "000000", "00000000");
    assertRefused(
        without, "PARTS", BATCH, "01000000", "08", "000000", "02020000", "0101", "a5".repeat(512));
  }

  @Test
  void partsThatDoNotFitTheirBlockAreRefused() {
    String one = BATCH + "01000000" + "08" + "000000";
    Capabilities all = PageFixture.ALL;
    assertRefused(all, "of form 0", one, "02020000", "0001", "a5".repeat(512));
    assertRefused(all, "of form 4", one, "02020000", "0401", "a5".repeat(512));
    assertRefused(all, "1024 bytes of parts", one, "02020000", "0103", "a5".repeat(512));
    assertRefused(all, "0 bytes of parts", one, "03000000", "0100", "a5");
    assertRefused(all, "512 bytes of parts", one, "02020000", "0201", "a5".repeat(512));
    assertRefused(all, "LZ4", one, "05000000", "0201", "ffffff");
    assertRefused(all, "zstd", one, "05000000", "0301", "ffffff");
    Capabilities without = new Capabilities(all.bits() & ~Capabilities.LZ4 & ~Capabilities.ZSTD);
    assertRefused(without, "not agreed on", one, "05000000", "0201", "ffffff");
    assertRefused(without, "not agreed on", one, "05000000", "0301", "ffffff");
  }

  @Test
  void partsOfAPageThatIsNotThereAreRefused() {
    ImageLayout layout = PageFixture.layout(8);
    try (PageDecoder decoder = new PageDecoder(layout, ALLOCATOR, PageFixture.ALL)) {
      String later = BATCH.replace("01000000" + "0000", "02000000" + "0000");
      ByteBuf payload =
          payload(later, "01000000", "08", "000000", "02020000", "0101", "a5".repeat(512));
      assertThatThrownBy(() -> decoder.decode(payload, new PageFixture.ArrayImage(8)))
          .isInstanceOf(ProtocolException.class)
          .hasMessageContaining("not known here");
    }
  }

  /** The golden bytes of PROTOCOL.md. */
  @Test
  void ofAPageThatIsThereInPartTheRestFollows() throws IOException {
    ImageLayout layout = PageFixture.layout(8);
    PageFixture.ArrayImage image = new PageFixture.ArrayImage(8);
    byte[] page = PageFixture.noise(new Random(3));
    image.pages[3] = page.clone();
    ByteBuf payload =
        payload(
            BATCH,
            "02000000",
            "08",
            "000000",
            "03120000",
            "01" + "ff" + "02",
            "5a".repeat(4096),
            "a5".repeat(512));
    try (PageDecoder decoder = new PageDecoder(layout, ALLOCATOR, PageFixture.ALL)) {
      decoder.decode(payload, image);
    }
    assertThat(image.pages[2]).containsOnly(0x5a);
    Arrays.fill(page, 512, 1024, (byte) 0xa5);
    assertThat(image.pages[3]).isEqualTo(page);
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
      byte[] named = Arrays.copyOf(new PartDigests(SALT).of(memory, 0), Recalled.DIGEST_BYTES);
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
      known.take(new Recalled(0, false, 2, new byte[2 * Recalled.DIGEST_BYTES]));
      known.await(0, 4);
      CountDownLatch further = waiting(known, 1, 3);
      known.take(new Recalled(1, false, 0, new byte[2 * Recalled.DIGEST_BYTES]));
      assertThat(further.await(50, TimeUnit.MILLISECONDS)).isFalse();
      known.take(new Recalled(1, false, 2, new byte[Recalled.DIGEST_BYTES]));
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
