package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.message.Capabilities;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ThreadFactory;

/**
 * Takes pages of its own the whole way from snapshot to sink, again and again, on a thread of its
 * own, so that the virtual machine has compiled that way before it counts: the last pages of a
 * guest that stands still go by encodings of which the first round knows nothing.
 *
 * <p>Needs about 5 MiB while it goes on.
 */
public final class PageRehearsal implements AutoCloseable {
  /** Set to {@code no}, this environment variable spares a process all of its rehearsals. */
  public static final String VARIABLE = "PAGEFERRY_REHEARSE";

  private static final boolean WANTED = !"no".equals(System.getenv(VARIABLE));
  private static final int PAGES = 64;
  private static final long LONGEST_NANOS = 3_000_000_000L;

  private volatile boolean over;

  private PageRehearsal() {}

  /**
   * Whether the user wants rehearsals: they make a process's first migration faster and cost some
   * seconds of processor time, which is not worth while to one that only has to be right.
   */
  public static boolean wanted() {
    return WANTED;
  }

  /**
   * Starts at once; ends by itself after three seconds at the latest.
   *
   * @param threads makes its one thread
   */
  public static PageRehearsal begin(ThreadFactory threads) {
    PageRehearsal rehearsal = new PageRehearsal();
    if (!WANTED) {
      return rehearsal;
    }
    threads.newThread(rehearsal::run).start();
    return rehearsal;
  }

  /** Ends it; its thread is gone and its memory released some milliseconds later. */
  @Override
  public void close() {
    over = true;
  }

  private void run() {
    // The virtual machine compiles accesses to native segments for the case that there are no
    // others,
    // and throws all of it away when the first one on the heap appears. Let that be now.
    MemorySegment.ofArray(new byte[1]).fill((byte) 1);
    ImageLayout layout = new ImageLayout(List.of(new ImageLayout.Region("rehearsal", 4L * PAGES)));
    try (ImageDigest sent = new ImageDigest(layout);
        ImageDigest landed = new ImageDigest(layout);
        BaseCache bases = new BaseCache(layout, 4L * PAGES * PageBatch.PAGE_BYTES);
        PageEncoder encoder =
            new PageEncoder(
                PooledByteBufAllocator.DEFAULT,
                new PageEncodings(true, Set.of(PageCodec.LZ4), bases))) {
      ImageDigest.Stripe sentStripe = sent.stripe();
      ImageDigest.Stripe landedStripe = landed.stripe();
      PageDecoder decoder =
          new PageDecoder(layout, PooledByteBufAllocator.DEFAULT, Capabilities.CURRENT);
      PageSink sink =
          new Landing(landedStripe, ByteBuffer.allocateDirect(4 * PAGES * PageBatch.PAGE_BYTES));
      byte[][] contents = {text(), random(), new byte[PAGES * PageBatch.PAGE_BYTES], mixed()};
      PageTally tally = new PageTally();
      long begin = System.nanoTime();
      for (int i = 0; !over && System.nanoTime() - begin < LONGEST_NANOS; i++) {
        int which = i % contents.length;
        int cycle = i / contents.length % 4;
        if (cycle < 2) {
          bases.rest();
        } else {
          // The first time each page is kept, the second time its difference is sent.
          bases.begin(i + 1, true);
          change(contents[which], i);
        }
        ByteBuf snapshot = encoder.snapshotBuffer(PAGES);
        snapshot.writeBytes(contents[which]);
        PageRuns runs = PageRuns.of(0, (long) which * PAGES, PAGES);
        ByteBuf frame = encoder.encode(i + 1, runs, snapshot, sentStripe, tally);
        try {
          decoder.decode(frame.skipBytes(FrameHeader.BYTES), sink);
        } finally {
          frame.release();
        }
      }
    } catch (IOException e) {
      throw new IllegalStateException("the rehearsal cannot read what it wrote", e);
    }
  }

  private record Landing(ImageDigest.Stripe digest, ByteBuffer memory) implements PageSink {
    @Override
    public void zero(int round, int region, long firstPage, long count) {
      digest.zero(region, firstPage, count);
    }

    @Override
    public void pages(int round, int region, long firstPage, ByteBuf data) {
      memory.put(
          Math.toIntExact(firstPage * PageBatch.PAGE_BYTES),
          data.nioBuffer(),
          0,
          data.readableBytes());
      digest.pages(region, firstPage, data);
    }

    @Override
    public void bases(int round, int region, long firstPage, ByteBuffer into) {
      int at = Math.toIntExact(firstPage * PageBatch.PAGE_BYTES);
      into.put(memory.slice(at, into.remaining()));
    }
  }

  /** Changes some bytes of each page that is not zero. */
  private static void change(byte[] pages, int time) {
    for (int at = 0; at < pages.length; at += PageBatch.PAGE_BYTES) {
      for (int changed = time % 64; changed < PageBatch.PAGE_BYTES; changed += 400) {
        if (pages[at + changed] != 0) {
          pages[at + changed] ^= (byte) 0x80;
        }
      }
    }
  }

  private static byte[] text() {
    byte[] words = "the page is read after its mark was cleared ".getBytes(StandardCharsets.UTF_8);
    byte[] text = new byte[PAGES * PageBatch.PAGE_BYTES];
    Random order = new Random(1);
    for (int at = 0; at < text.length; at++) {
      text[at] = words[order.nextInt(8) == 0 ? order.nextInt(words.length) : at % words.length];
    }
    return text;
  }

  private static byte[] random() {
    byte[] noise = new byte[PAGES * PageBatch.PAGE_BYTES];
    new Random(2).nextBytes(noise);
    return noise;
  }

  /** Every other page is zero. */
  private static byte[] mixed() {
    byte[] mixed = random();
    for (int page = 0; page < PAGES; page += 2) {
      int at = page * PageBatch.PAGE_BYTES;
      Arrays.fill(mixed, at, at + PageBatch.PAGE_BYTES, (byte) 0);
    }
    return mixed;
  }
}
