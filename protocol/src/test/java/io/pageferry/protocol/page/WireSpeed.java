package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.pageferry.protocol.frame.Crc32c;
import io.pageferry.protocol.frame.FrameHeader;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;

/**
 * Prints how fast the stages of a page's way are, each for itself on one thread: memory per second
 * of processor time (so that a busy machine does not blur it), medians of seven runs of 0.4 s. To
 * be run by hand, with the test class path.
 */
public final class WireSpeed {
  private static final int PAGES = PageBatch.MAX_PAGES;
  private static final int BYTES = PAGES * PageBatch.PAGE_BYTES;
  private static final int RUNS = 7;
  private static final long RUN_NANOS = 400_000_000;
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  /** One pass over {@link #BYTES} of memory. */
  private interface Pass {
    void run() throws IOException;
  }

  private WireSpeed() {}

  public static void main(String[] args) throws IOException {
    PooledByteBufAllocator allocator = PooledByteBufAllocator.DEFAULT;
    Random random = new Random(1);
    List<byte[]> noise = new ArrayList<>();
    List<byte[]> text = new ArrayList<>();
    List<byte[]> zero = new ArrayList<>();
    List<byte[]> mixed = new ArrayList<>();
    for (int i = 0; i < PAGES; i++) {
      noise.add(PageFixture.noise(random));
      text.add(PageFixture.text(random));
      zero.add(PageFixture.zero());
      mixed.add(i % 8 == 0 ? PageFixture.zero() : PageFixture.noise(random));
    }
    ImageLayout layout = PageFixture.layout(PAGES);
    ImageDigest digest = new ImageDigest(layout);
    ImageDigest.Stripe stripe = digest.stripe();
    PageTally tally = new PageTally();
    PageEncoder plain = new PageEncoder(allocator, false);
    PageEncoder compressing = new PageEncoder(allocator, true);
    ByteBuf zeroPages = PageFixture.snapshot(plain, zero);
    ByteBuf noisePages = PageFixture.snapshot(plain, noise);
    ByteBuf textPages = PageFixture.snapshot(plain, text);
    MemorySegment zeroMemory = MemorySegment.ofBuffer(zeroPages.nioBuffer());

    measure("copy of memory", () -> filled(plain, noisePages).release());
    measure(
        "zero scan",
        () -> {
          if (!ZeroPages.isZero(zeroMemory, 0, BYTES)) {
            throw new IOException("not zero");
          }
        });
    measure("digest of changing pages", () -> stripe.pages(0, 0, noisePages));
    int[] crc = {0};
    measure("CRC32C", () -> crc[0] ^= Crc32c.of(noisePages, noisePages.readerIndex(), BYTES));
    measure(
        "encode zero (copy into the snapshot included)",
        () -> encode(plain, zeroPages, stripe, tally).release());
    measure(
        "encode raw (copy into the snapshot included)",
        () -> encode(plain, noisePages, stripe, tally).release());
    ByteBuf mixedPages = PageFixture.snapshot(plain, mixed);
    measure(
        "encode 7/8 raw, 1/8 zero (copy included)",
        () -> encode(plain, mixedPages, stripe, tally).release());
    measure(
        "encode incompressible with LZ4 allowed (copy included)",
        () -> encode(compressing, noisePages, stripe, tally).release());
    PageTally textTally = new PageTally();
    measure(
        "encode text with LZ4 (copy included)",
        () -> encode(compressing, textPages, stripe, textTally).release());
    System.out.printf(
        "  text: %d of %d pages by LZ4, %.3f of the size%n",
        textTally.lz4(),
        textTally.pages(),
        textTally.wireBytes() / (textTally.pages() * (double) PageBatch.PAGE_BYTES));
    PageDecoder decoder = new PageDecoder(layout, allocator, PageFixture.ALL);
    ImageDigest landed = new ImageDigest(layout);
    PageSink sink = sink(landed.stripe());
    measure(
        "encode and decode text with LZ4, both digests",
        () -> {
          ByteBuf frame = encode(compressing, textPages, stripe, tally);
          decoder.decode(frame.skipBytes(FrameHeader.BYTES), sink);
          frame.release();
        });
    ByteBuf textFrame = encode(compressing, textPages, stripe, tally).skipBytes(FrameHeader.BYTES);
    PageSink nowhere = new Nowhere();
    measure("decode text with LZ4", () -> decoder.decode(textFrame, nowhere));
    PageEncoder zstd =
        new PageEncoder(allocator, new PageEncodings(true, Set.of(PageCodec.ZSTD), null));
    PageTally zstdTally = new PageTally();
    measure(
        "encode text with zstd (copy included)",
        () -> encode(zstd, textPages, stripe, zstdTally).release());
    System.out.printf(
        "  text: %d of %d pages by zstd, %.3f of the size, %d bytes of heap a frame%n",
        zstdTally.zstd(),
        zstdTally.pages(),
        zstdTally.wireBytes() / (zstdTally.pages() * (double) PageBatch.PAGE_BYTES),
        heapOf(() -> encode(zstd, textPages, stripe, tally).release()));
    ByteBuf zstdFrame = encode(zstd, textPages, stripe, tally).skipBytes(FrameHeader.BYTES);
    measure("decode text with zstd", () -> decoder.decode(zstdFrame, nowhere));
    measure(
        "encode incompressible with zstd allowed (copy included)",
        () -> encode(zstd, noisePages, stripe, tally).release());
    for (int run : new int[] {64, 8, 1}) {
      deltas(allocator, noise, run);
    }
    System.out.println(crc[0] + " " + digest.value() + " " + landed.value() + " " + tally);
  }

  /** Pages of which one byte in twenty changed, so many side by side. */
  private static void deltas(PooledByteBufAllocator allocator, List<byte[]> pages, int side)
      throws IOException {
    Random random = new Random(2);
    List<byte[]> changed = new ArrayList<>();
    for (byte[] page : pages) {
      byte[] next = page.clone();
      for (int bytes = PageBatch.PAGE_BYTES / 20; bytes > 0; bytes -= side) {
        int at = random.nextInt(PageBatch.PAGE_BYTES - side);
        for (int i = at; i < at + side; i++) {
          next[i] = (byte) ~page[i];
        }
      }
      changed.add(next);
    }
    ImageLayout layout = PageFixture.layout(PAGES);
    try (BaseCache bases = new BaseCache(layout, BYTES);
        PageEncoder encoder =
            new PageEncoder(allocator, new PageEncodings(true, Set.of(PageCodec.RAW), bases));
        PageEncoder compressing =
            new PageEncoder(allocator, new PageEncodings(true, Set.of(PageCodec.LZ4), bases));
        ImageDigest digest = new ImageDigest(layout)) {
      ByteBuf before = PageFixture.snapshot(encoder, pages);
      ByteBuf after = PageFixture.snapshot(encoder, changed);
      MemorySegment from = MemorySegment.ofBuffer(before.nioBuffer());
      MemorySegment to = MemorySegment.ofBuffer(after.nioBuffer());
      MemorySegment out = MemorySegment.ofBuffer(allocator.directBuffer(8192).nioBuffer(0, 8192));
      int[] length = {0};
      String what = "5 %% changed, %d bytes side by side: ".formatted(side);
      measure(
          what + "runs",
          () -> {
            for (int at = 0; at < BYTES; at += PageBatch.PAGE_BYTES) {
              length[0] = DeltaRuns.write(from, at, to, at, out, 0, PageDelta.MAX_BYTES);
            }
          });
      ImageDigest.Stripe stripe = digest.stripe();
      PageTally tally = new PageTally();
      int[] round = {1};
      for (PageEncoder each : List.of(encoder, compressing)) {
        measure(
            what + (each == encoder ? "encode" : "encode, LZ4 allowed"),
            () -> {
              bases.begin(++round[0], true);
              encode(each, round[0] % 2 == 0 ? before : after, stripe, tally).release();
            });
      }
      System.out.printf(
          "  the last of them takes %d bytes, %d bytes of heap a frame; %s%n",
          length[0], heapOf(() -> encode(encoder, before, stripe, tally).release()), tally);
    }
  }

  /** What one pass allocates on the heap, in bytes; of 240 pages in one frame. */
  private static long heapOf(Pass pass) throws IOException {
    com.sun.management.ThreadMXBean thread = (com.sun.management.ThreadMXBean) THREADS;
    long begin = thread.getCurrentThreadAllocatedBytes();
    for (int i = 0; i < 100; i++) {
      pass.run();
    }
    return (thread.getCurrentThreadAllocatedBytes() - begin) / 100;
  }

  private static ByteBuf encode(
      PageEncoder encoder, ByteBuf pages, ImageDigest.Stripe stripe, PageTally tally) {
    return encoder.encode(1, PageRuns.of(0, 0, PAGES), filled(encoder, pages), stripe, tally);
  }

  /** A snapshot with these pages; the copy stands for the read from the image. */
  private static ByteBuf filled(PageEncoder encoder, ByteBuf pages) {
    ByteBuf snapshot = encoder.snapshotBuffer(PAGES);
    snapshot.writeBytes(pages, pages.readerIndex(), BYTES);
    return snapshot;
  }

  private static PageSink sink(ImageDigest.Stripe stripe) {
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

  private static void measure(String what, Pass pass) throws IOException {
    double[] rates = new double[RUNS];
    for (int run = -2; run < RUNS; run++) {
      long begin = THREADS.getCurrentThreadCpuTime();
      long end;
      long passes = 0;
      do {
        for (int i = 0; i < 10; i++) {
          pass.run();
        }
        passes += 10;
        end = THREADS.getCurrentThreadCpuTime();
      } while (end - begin < RUN_NANOS);
      if (run >= 0) {
        rates[run] = passes * (double) BYTES / (end - begin);
      }
    }
    Arrays.sort(rates);
    System.out.printf("%-58s %6.2f GB/s%n", what, rates[RUNS / 2]);
  }

  private static final class Nowhere implements PageSink {
    @Override
    public void zero(int round, int region, long firstPage, long count) {}

    @Override
    public void pages(int round, int region, long firstPage, ByteBuf data) {}
  }
}
