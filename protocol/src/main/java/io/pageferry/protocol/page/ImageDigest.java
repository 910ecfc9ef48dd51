package io.pageferry.protocol.page;

import io.netty.buffer.ByteBuf;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * The running digest of an image: kept page by page as pages are sent or landed, so that comparing
 * both sides at the switchover costs nothing.
 *
 * <p>It holds, off the heap, the {@link PageHash} of each page as it was last sent or landed, 16
 * bytes a page (32 MiB for a guest of 8 GiB, counted as direct memory by the JVM). A zero page
 * counts as 0. The digest of the image is the sum, modulo 2^128, over all pages that are not zero
 * of the page's hash mixed with its position; PROTOCOL.md defines it to the bit. A sum can be kept
 * up to date in any order and by several threads; mixing in the position makes two exchanged pages
 * show.
 *
 * <p>Threading: each writing thread takes a {@link Stripe} of its own, and no two stripes are
 * concurrently told of the same page. A page may change stripes where the threads synchronise
 * anyway, as at the end of a round. {@link #value} may be asked by any thread; it is exact while no
 * stripe is in an update.
 */
public final class ImageDigest implements AutoCloseable {
  private static final int HASH_BYTES = 16;
  private static final int PAGE = PageBatch.PAGE_BYTES;
  private static final int REGION_SHIFT = 48;
  private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG;

  private final Arena arena = Arena.ofShared();
  private final ImageLayout layout;

  /** For each region, for each page: high word, low word. */
  private final MemorySegment[] hashes;

  private final List<Stripe> stripes = new CopyOnWriteArrayList<>();

  /** A digest of an image that is all zero. */
  public ImageDigest(ImageLayout layout) {
    this.layout = layout;
    this.hashes =
        layout.regions().stream()
            .map(region -> arena.allocate(region.pages() * HASH_BYTES, HASH_BYTES))
            .toArray(MemorySegment[]::new);
  }

  /** A writer's own part. Any thread may ask for it. */
  public Stripe stripe() {
    Stripe stripe = new Stripe();
    stripes.add(stripe);
    return stripe;
  }

  /**
   * Whether a page differs from what was last sent or landed. Any thread that has synchronised with
   * the page's last writer.
   *
   * @param fourKiB its present content
   */
  public boolean differs(int region, long page, MemorySegment fourKiB) {
    long at = at(region, page);
    long high = hashes[region].get(WORD, at);
    long low = hashes[region].get(WORD, at + Long.BYTES);
    if (ZeroPages.isZero(fourKiB, 0, PAGE)) {
      return (high | low) != 0;
    }
    long[] hash = new long[2];
    PageHash.into(hash, fourKiB, 0);
    return high != hash[PageHash.HIGH] || low != hash[PageHash.LOW];
  }

  /** The digest of all pages as last sent or landed. */
  public Digest value() {
    long high = 0;
    long low = 0;
    for (Stripe stripe : stripes) {
      long stripeLow = (long) Stripe.LOW.getAcquire(stripe);
      long stripeHigh = (long) Stripe.HIGH.getAcquire(stripe);
      long sum = low + stripeLow;
      high += stripeHigh + (Long.compareUnsigned(sum, low) < 0 ? 1 : 0);
      low = sum;
    }
    return new Digest(high, low);
  }

  /** Gives the memory back. No stripe may be in use. */
  @Override
  public void close() {
    arena.close();
  }

  private long at(int region, long page) {
    if (!layout.holds(region, page, 1)) {
      throw new IndexOutOfBoundsException("page " + page + " of region " + region);
    }
    return page * HASH_BYTES;
  }

  /** SplitMix64's finalizer: every bit of the input moves every bit of the result. */
  private static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  private static long positionKey(int region, long page) {
    return mix((((long) region << REGION_SHIFT) | page) + 0x9E3779B97F4A7C15L);
  }

  private static long mixLow(long positionKey, long low) {
    return mix(low ^ positionKey);
  }

  private static long mixHigh(long positionKey, long high, long mixedLow) {
    return mix((high ^ mix(positionKey)) + mixedLow);
  }

  /** What one thread adds to the digest. Used by one thread at a time. */
  public final class Stripe {
    private static final VarHandle HIGH;
    private static final VarHandle LOW;

    static {
      try {
        MethodHandles.Lookup lookup = MethodHandles.lookup();
        HIGH = lookup.findVarHandle(Stripe.class, "high", long.class);
        LOW = lookup.findVarHandle(Stripe.class, "low", long.class);
      } catch (ReflectiveOperationException e) {
        throw new ExceptionInInitializerError(e);
      }
    }

    // This stripe's share of the sum. Plain while its thread works, published by release stores.
    private long high;
    private long low;

    /** The hash of the page at hand. */
    private final long[] hash = new long[2];

    private Stripe() {}

    /**
     * Pages were sent or landed.
     *
     * @param data whole pages, from reader index to writer index; borrowed, indices stay
     */
    public void pages(int region, long firstPage, ByteBuf data) {
      int length = data.readableBytes();
      if (length % PAGE != 0) {
        throw new IllegalArgumentException(length + " bytes are not whole pages");
      }
      MemorySegment segment = MemorySegment.ofBuffer(data.nioBuffer());
      for (int at = 0; at < length; at += PAGE) {
        if (ZeroPages.isZero(segment, at, PAGE)) {
          replace(region, firstPage + at / PAGE, 0, 0);
        } else {
          page(region, firstPage + at / PAGE, segment, at);
        }
      }
      publish();
    }

    /** Pages were sent or landed as zero. */
    public void zero(int region, long firstPage, long count) {
      if (!layout.holds(region, firstPage, count)) {
        throw new IndexOutOfBoundsException(
            count + " pages from " + firstPage + " of region " + region);
      }
      MemorySegment table = hashes[region];
      long begin = firstPage * HASH_BYTES;
      long end = begin + count * HASH_BYTES;
      // A fresh image is all zero: its entries are skipped 256 at a time.
      for (long at = begin; at < end; ) {
        long part = Math.min(PAGE, end - at);
        if (!ZeroPages.isZero(table, at, part)) {
          for (long page = at / HASH_BYTES; page < (at + part) / HASH_BYTES; page++) {
            replace(region, page, 0, 0);
          }
        }
        at += part;
      }
      publish();
    }

    /** Whether each of these pages was last sent or landed with content. */
    public boolean haveContent(int region, long firstPage, long count) {
      if (!layout.holds(region, firstPage, count)) {
        return false;
      }
      for (long page = firstPage; page < firstPage + count; page++) {
        long at = page * HASH_BYTES;
        if ((hashes[region].get(WORD, at) | hashes[region].get(WORD, at + Long.BYTES)) == 0) {
          return false;
        }
      }
      return true;
    }

    /**
     * A page that is known not to be zero; {@link #publish} must follow.
     *
     * @return the low word of its hash
     */
    long page(int region, long page, MemorySegment segment, long offset) {
      PageHash.into(hash, segment, offset);
      replace(region, page, hash[PageHash.HIGH], hash[PageHash.LOW]);
      return hash[PageHash.LOW];
    }

    /** A page that is known to be zero; {@link #publish} must follow. */
    void zeroPage(int region, long page) {
      replace(region, page, 0, 0);
    }

    void publish() {
      HIGH.setRelease(this, high);
      LOW.setRelease(this, low);
    }

    private void replace(int region, long page, long newHigh, long newLow) {
      long at = at(region, page);
      MemorySegment table = hashes[region];
      long oldHigh = table.get(WORD, at);
      long oldLow = table.get(WORD, at + Long.BYTES);
      if (oldHigh == newHigh && oldLow == newLow) {
        return;
      }
      long key = positionKey(region, page);
      if ((oldHigh | oldLow) != 0) {
        long mixedLow = mixLow(key, oldLow);
        long rest = low - mixedLow;
        high -= mixHigh(key, oldHigh, mixedLow) + (Long.compareUnsigned(low, mixedLow) < 0 ? 1 : 0);
        low = rest;
      }
      if ((newHigh | newLow) != 0) {
        long mixedLow = mixLow(key, newLow);
        long sum = low + mixedLow;
        high += mixHigh(key, newHigh, mixedLow) + (Long.compareUnsigned(sum, low) < 0 ? 1 : 0);
        low = sum;
      }
      table.set(WORD, at, newHigh);
      table.set(WORD, at + Long.BYTES, newLow);
    }
  }
}
