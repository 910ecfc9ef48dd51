package io.pageferry.guest.fault;

import io.pageferry.guest.image.ImageRegion;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.BitSet;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Huge pages of which a part has come: the kernel takes them whole only. The bits of their pages
 * stay set until then, because what is gathered here does not survive this process.
 *
 * <p>Any thread. A granule that is being landed belongs to the thread that completed it.
 */
final class StagedGranules {
  private static final int PAGE = ImageRegion.PAGE_BYTES;

  /** So many buffers are kept for the next granules. */
  private static final int SPARE = 8;

  private record Key(int region, long firstPage) {}

  /** One huge page. */
  static final class Granule {
    private final MemorySegment content;
    private final BitSet arrived = new BitSet();
    private boolean landing;

    private Granule(MemorySegment content) {
      this.content = content;
    }

    /** All of it; only for the thread that lands it. */
    MemorySegment content() {
      return content;
    }
  }

  private final MissingPages missing;
  private final Map<Key, Granule> open = new HashMap<>();
  private final Deque<MemorySegment> spare = new ArrayDeque<>();

  StagedGranules(MissingPages missing) {
    this.missing = missing;
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
   */
  synchronized @Nullable Granule add(
      int region,
      long firstPage,
      int pages,
      int at,
      @Nullable MemorySegment source,
      int zeroPages) {
    Granule granule =
        open.computeIfAbsent(new Key(region, firstPage), key -> new Granule(buffer(pages)));
    if (granule.landing) {
      return null;
    }
    int count = source == null ? zeroPages : (int) (source.byteSize() / PAGE);
    MemorySegment target = granule.content.asSlice((long) at * PAGE, (long) count * PAGE);
    if (source == null) {
      target.fill((byte) 0);
    } else {
      target.copyFrom(source);
    }
    granule.arrived.set(at, at + count);
    for (int i = granule.arrived.nextClearBit(0); i < pages; ) {
      if (missing.contains(region, firstPage + i)) {
        return null;
      }
      i = granule.arrived.nextClearBit(i + 1);
    }
    // What was not sent is zero.
    for (int i = granule.arrived.nextClearBit(0); i < pages; ) {
      granule.content.asSlice((long) i * PAGE, PAGE).fill((byte) 0);
      i = granule.arrived.nextClearBit(i + 1);
    }
    granule.landing = true;
    return granule;
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
    // A buffer that another thread may still be landing is left to the collector.
    if (dropped != null && (landed || !dropped.landing) && spare.size() < SPARE) {
      spare.push(dropped.content);
    }
  }

  synchronized int size() {
    return open.size();
  }
}
