package io.pageferry.protocol.page;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.lang.foreign.MemorySegment;
import java.math.BigInteger;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ImageDigestTest {
  private static final BigInteger TWO_TO_64 = BigInteger.ONE.shiftLeft(64);

  @Test
  void aFreshImageHasDigestZero() {
    try (ImageDigest digest = new ImageDigest(PageFixture.layout(10))) {
      assertThat(digest.value()).isEqualTo(new Digest(0, 0));
      ImageDigest.Stripe stripe = digest.stripe();
      stripe.zero(0, 0, 10);
      stripe.pages(0, 3, page(PageFixture.zero()));
      assertThat(digest.value()).isEqualTo(new Digest(0, 0));
      stripe.pages(0, 3, page(PageFixture.noise(new Random(1))));
      assertThat(digest.value()).isNotEqualTo(new Digest(0, 0));
      stripe.zero(0, 0, 10);
      assertThat(digest.value()).isEqualTo(new Digest(0, 0));
    }
  }

  @Test
  void itIsWhatPROTOCOLmdDefines() {
    Random random = new Random(2);
    byte[] a = PageFixture.noise(random);
    byte[] b = PageFixture.text(random);
    try (ImageDigest digest = new ImageDigest(PageFixture.layout(4, 300))) {
      digest.stripe().pages(0, 2, page(a));
      digest.stripe().pages(1, 258, page(b));
      BigInteger sum = term(0, 2, a).add(term(1, 258, b));
      assertThat(digest.value())
          .isEqualTo(new Digest(sum.shiftRight(64).longValue(), sum.longValue()));
    }
  }

  @Test
  void theGoldenDigestOfPROTOCOLmd() {
    // Calculated outside of Java, in Python, from the definition.
    byte[] page = new byte[4096];
    for (int i = 0; i < page.length; i++) {
      page[i] = (byte) i;
    }
    try (ImageDigest digest = new ImageDigest(PageFixture.layout(4, 300))) {
      digest.stripe().pages(1, 258, page(page));
      assertThat(digest.value().toString()).isEqualTo("36d8ffd2883b74d6598970254385deaa");
    }
  }

  @Test
  void anyOrderAndAnyStripesGiveTheSame() {
    Random random = new Random(3);
    byte[][] last = new byte[64][];
    try (ImageDigest once = new ImageDigest(PageFixture.layout(64));
        ImageDigest often = new ImageDigest(PageFixture.layout(64))) {
      ImageDigest.Stripe[] stripes = {often.stripe(), often.stripe(), often.stripe()};
      for (int i = 0; i < 2000; i++) {
        int at = random.nextInt(64);
        last[at] = random.nextInt(3) == 0 ? PageFixture.zero() : PageFixture.noise(random);
        stripes[random.nextInt(3)].pages(0, at, page(last[at]));
      }
      ImageDigest.Stripe stripe = once.stripe();
      for (int at = 63; at >= 0; at--) {
        if (last[at] != null) {
          stripe.pages(0, at, page(last[at]));
        }
      }
      assertThat(often.value()).isEqualTo(once.value());
    }
  }

  @Test
  void exchangedPagesAndASingleBitShow() {
    Random random = new Random(4);
    byte[] a = PageFixture.noise(random);
    byte[] b = PageFixture.noise(random);
    Digest straight = twoPages(a, b);
    assertThat(twoPages(b, a)).isNotEqualTo(straight);
    byte[] flipped = a.clone();
    flipped[4095] ^= 1;
    assertThat(twoPages(flipped, b)).isNotEqualTo(straight);
  }

  @Test
  void whatDiffersFromTheLastSentContentIsFound() {
    Random random = new Random(5);
    byte[] a = PageFixture.noise(random);
    try (ImageDigest digest = new ImageDigest(PageFixture.layout(4))) {
      digest.stripe().pages(0, 1, page(a));
      assertThat(digest.differs(0, 1, segment(a))).isFalse();
      assertThat(digest.differs(0, 2, segment(a))).isTrue();
      assertThat(digest.differs(0, 1, segment(PageFixture.zero()))).isTrue();
      assertThat(digest.differs(0, 2, segment(PageFixture.zero()))).isFalse();
      a[100] ^= 64;
      assertThat(digest.differs(0, 1, segment(a))).isTrue();
    }
  }

  @Test
  void pagesThatTheImageDoesNotHaveAreRefused() {
    try (ImageDigest digest = new ImageDigest(PageFixture.layout(4))) {
      ImageDigest.Stripe stripe = digest.stripe();
      assertThatThrownBy(() -> stripe.zero(0, 3, 2)).isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> stripe.pages(1, 0, page(PageFixture.zero())))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> stripe.pages(0, 0, Unpooled.directBuffer().writeZero(100)))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void zeroPagesAreToldFromTheRest() {
    for (int length : new int[] {1, 7, 8, 9, 4095, 4096, 4097, 16384}) {
      ByteBuf buf = Unpooled.directBuffer().writeZero(length + 8);
      assertThat(ZeroPages.isZero(buf, 5, length)).isTrue();
      for (int at : new int[] {0, length / 2, length - 1}) {
        buf.setByte(5 + at, 128);
        assertThat(ZeroPages.isZero(buf, 5, length)).isFalse();
        buf.setByte(5 + at, 0);
      }
      buf.setByte(4, 1).setByte(5 + length, 1);
      assertThat(ZeroPages.isZero(buf, 5, length)).isTrue();
      buf.release();
    }
  }

  private static Digest twoPages(byte[] first, byte[] second) {
    try (ImageDigest digest = new ImageDigest(PageFixture.layout(4))) {
      digest.stripe().pages(0, 0, page(first));
      digest.stripe().pages(0, 1, page(second));
      return digest.value();
    }
  }

  /** One page's term of the sum, in unbounded arithmetic, as the definition says. */
  private static BigInteger term(int region, long page, byte[] content) {
    BigInteger[] hash = hash(content);
    BigInteger position = BigInteger.valueOf(region).shiftLeft(48).or(BigInteger.valueOf(page));
    BigInteger key = mix(position.add(new BigInteger("9e3779b97f4a7c15", 16)));
    BigInteger low = mix(hash[1].xor(key));
    BigInteger high = mix(hash[0].xor(mix(key)).add(low));
    return high.shiftLeft(64).or(low);
  }

  private static BigInteger mix(BigInteger value) {
    BigInteger z = value.mod(TWO_TO_64);
    z = z.xor(z.shiftRight(30)).multiply(new BigInteger("bf58476d1ce4e5b9", 16)).mod(TWO_TO_64);
    z = z.xor(z.shiftRight(27)).multiply(new BigInteger("94d049bb133111eb", 16)).mod(TWO_TO_64);
    return z.xor(z.shiftRight(31));
  }

  /** High and low word of a page's hash. */
  private static BigInteger[] hash(byte[] page) {
    BigInteger[] key = new BigInteger[8];
    BigInteger state = BigInteger.ZERO;
    for (int i = 0; i < key.length; i++) {
      state = state.add(new BigInteger("9e3779b97f4a7c15", 16));
      key[i] = mix(state);
    }
    BigInteger[] lane = {key[0], key[1], key[2], key[3]};
    for (int word = 0; word < 512; word += 2) {
      int at = word / 2 % 4;
      lane[at] = fold(word(page, word).xor(lane[at]), word(page, word + 1).xor(key[4 + at]));
    }
    return new BigInteger[] {
      fold(lane[0].xor(key[4]), lane[1].xor(key[5]))
          .xor(fold(lane[2].xor(key[6]), lane[3].xor(key[7]))),
      fold(lane[0].xor(key[6]), lane[2].xor(key[7]))
          .xor(fold(lane[1].xor(key[4]), lane[3].xor(key[5])))
    };
  }

  private static BigInteger fold(BigInteger a, BigInteger b) {
    BigInteger product = a.multiply(b);
    return product.shiftRight(64).xor(product.mod(TWO_TO_64));
  }

  private static BigInteger word(byte[] page, int index) {
    byte[] bigEndian = new byte[8];
    for (int i = 0; i < 8; i++) {
      bigEndian[i] = page[index * 8 + 7 - i];
    }
    return new BigInteger(1, bigEndian);
  }

  private static ByteBuf page(byte[] content) {
    return Unpooled.directBuffer(4096).writeBytes(content);
  }

  private static MemorySegment segment(byte[] content) {
    return MemorySegment.ofBuffer(page(content).nioBuffer());
  }
}
