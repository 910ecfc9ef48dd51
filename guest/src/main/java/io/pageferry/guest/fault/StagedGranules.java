package io.pageferry.guest.fault;

import io.pageferry.guest.image.ImageRegion;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.BitSet;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Huge pages of which a part has come: the kernel takes them whole only. The bits of their pages
 * stay set until then, because what is gathered here does not survive this process.
 *
 * <p>Any thread. A granule that is being landed belongs to the thread that completed it.
 */
final class StagedGranules {
  private static final int PAGE = ImageRegion.PAGE_BYTES;

  /**
   * How much memory the huge pages may take of which only a part has come. A source sends one after
   * the other, and whole what the guest waits for: it has no reason to begin more of them.
   */
  static final long MAX_BYTES = 256L << 20;

  /** So many are allowed however large they are. */
  private static final int MIN_GRANULES = 4;

  /** So many buffers are kept for the next granules. */
  private static final int SPARE = 8;

  private record Key(int region, long firstPage) {}

  /** One huge page. */
  static final class Granule {
    /** Not before there is a page to put into it: zeros take no memory. */
    private @Nullable MemorySegment content;

    private final BitSet arrived = new BitSet();

    /** Those that have arrived and are in the content, which is anything elsewhere. */
    private final BitSet written = new BitSet();

    private boolean landing;

    /** All of it; only for the thread that lands it. */
    MemorySegment content() {
      return Objects.requireNonNull(content);
    }
  }

  private final MissingPages missing;
  private final long maxBytes;
  private final Map<Key, Granule> open = new HashMap<>();

  /** How many granules have their content here, to be landed or not. */
  private int filled;

  private final Deque<MemorySegment> spare = new ArrayDeque<>();

  StagedGranules(MissingPages missing) {
    this(missing, MAX_BYTES);
  }

  StagedGranules(MissingPages missing, long maxBytes) {
    this.missing = missing;
    this.maxBytes = maxBytes;
  }

  /**
   * Adds pages of one granule.
   *
   * @param firstPage of the granule
   * @param pages how many a granule has
   * @param at the first of those that have come, counted in the granule
   * @param source their content; null for zeros
   * @param zeroPages how many, if they are zeros
   * @return the granule, now the caller's to land, if nothing of it is missing any more
   * @throws IOException if parts of too many granules have come
   */
  synchronized @Nullable Granule add(
      int region, long firstPage, int pages, int at, @Nullable MemorySegment source, int zeroPages)
      throws IOException {
    Granule granule = open.computeIfAbsent(new Key(region, firstPage), key -> new Granule());
    if (granule.landing) {
      return null;
    }
    int count = source == null ? zeroPages : (int) (source.byteSize() / PAGE);
    if (source == null) {
      granule.written.clear(at, at + count);
    } else {
      content(granule, pages).asSlice((long) at * PAGE, (long) count * PAGE).copyFrom(source);
      granule.written.set(at, at + count);
    }
    granule.arrived.set(at, at + count);
    for (int i = granule.arrived.nextClearBit(0); i < pages; ) {
      if (missing.contains(region, firstPage + i)) {
        return null;
      }
      i = granule.arrived.nextClearBit(i + 1);
    }
    // What was sent as zeros, or not at all.
    MemorySegment whole = content(granule, pages);
    for (int i = granule.written.nextClearBit(0); i < pages; ) {
      whole.asSlice((long) i * PAGE, PAGE).fill((byte) 0);
      i = granule.written.nextClearBit(i + 1);
    }
    granule.landing = true;
    return granule;
  }

  private MemorySegment content(Granule granule, int pages) throws IOException {
    MemorySegment content = granule.content;
    if (content == null) {
      if (filled >= Math.max(MIN_GRANULES, maxBytes / ((long) pages * PAGE))) {
        throw new IOException(
            "parts of more than %d huge pages have come, and none of them whole".formatted(filled));
      }
      content = buffer(pages);
      granule.content = content;
      filled++;
    }
    return content;
  }

  private MemorySegment buffer(int pages) {
    MemorySegment kept = spare.poll();
    return kept != null && kept.byteSize() == (long) pages * PAGE
        ? kept
        : Arena.ofAuto().allocate((long) pages * PAGE, PAGE);
  }

  /** Whether this granule is still wanted; the guest may have given it back. */
  synchronized boolean holds(int region, long firstPage, Granule granule) {
    return open.get(new Key(region, firstPage)) == granule;
  }

  /** Whether this page has come and waits for the rest of its granule. */
  synchronized boolean arrived(int region, long firstPage, int at) {
    Granule granule = open.get(new Key(region, firstPage));
    return granule != null && granule.arrived.get(at);
  }

  /** Forgets what has come of a granule, because it has landed or is no longer wanted. */
  synchronized void drop(int region, long firstPage, boolean landed) {
    Granule dropped = open.remove(new Key(region, firstPage));
    MemorySegment content = dropped == null ? null : dropped.content;
    if (dropped == null || content == null) {
      return;
    }
    filled--;
    // A buffer that another thread may still be landing is left to the collector.
    if ((landed || !dropped.landing) && spare.size() < SPARE) {
      spare.push(content);
    }
  }

  synchronized int size() {
    return open.size();
  }
}
