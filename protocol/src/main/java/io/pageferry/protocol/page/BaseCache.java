package io.pageferry.protocol.page;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Pages as the target has them, so that they can be sent again as differences: off the heap, within
 * a bound, shared by all data channels of a migration.
 *
 * <p><b>What it holds is what the target has.</b> A page enters with the very bytes that are being
 * sent, read once from the guest, and every way of sending a page goes by here: its base becomes
 * what is sent now, or is dropped. A round ends only when the target has landed it, so what was
 * sent in one is a base in the next; within a round a page is sent once.
 *
 * <p><b>What enters.</b> Only a page that is sent again, that is from round 2 on. The first round
 * brings all memory, of which most is never sent again, and at the speed of a fast link: keeping it
 * would cost that round another pass over memory and push out nothing but itself.
 *
 * <p><b>What stays.</b> Of each page it is known how often it was sent again and in which round it
 * last was; each round that it then stayed away from halves that number. A page that finds no room
 * takes the place of the one with the lowest number among a few, if that is lower than its own.
 * Pages that all come equally often therefore do not push each other out, as they would in a cache
 * that looks at recency alone: as many as have room stay. A page of which the difference did not
 * pay leaves, and is kept again only after it was sent a few more times.
 *
 * <p>Memory is taken as pages enter; besides, six bytes for each page of the guest.
 *
 * <p>Threading: {@link #begin}, {@link #rest} and {@link #close} by one thread while nobody sends;
 * the rest by any number of senders. Pages are shared out to parts with a lock each; neighbours,
 * which one sender has at a time, are in the same part.
 */
public final class BaseCache implements AutoCloseable {
  private static final int PAGE = PageBatch.PAGE_BYTES;

  /** Pages for which memory is taken at once. */
  private static final int CHUNK_PAGES = 256;

  private static final int MAX_PARTS = 16;
  private static final int NEIGHBOURS_SHIFT = 6;
  private static final int REGION_SHIFT = 46;

  /** How many are compared to find the one that gives way. */
  private static final int CANDIDATES = 8;

  /** What a page begins with whose difference did not pay. */
  private static final byte DID_NOT_PAY = -2;

  private static final int LAST_ROUND = 255;
  private static final long NOBODY = -1;
  private static final ValueLayout.OfInt SLOT = ValueLayout.JAVA_INT;
  private static final ValueLayout.OfByte NUMBER = ValueLayout.JAVA_BYTE;

  private final Arena arena = Arena.ofShared();
  private final ImageLayout layout;
  private final Part[] parts;
  private final long capacity;

  // Of each region, a value for each page; made when the first page is sent again.
  private MemorySegment[] slots = {};
  private MemorySegment[] resends = {};
  private MemorySegment[] rounds = {};

  private boolean active;
  private boolean keeping;
  private int round;

  /**
   * An empty cache, which takes no memory yet.
   *
   * @param bytes for pages; at least one page is kept
   */
  public BaseCache(ImageLayout layout, long bytes) {
    this.layout = layout;
    capacity = Math.clamp(bytes / PAGE, 1, layout.pages());
    int count = Math.clamp(capacity / CHUNK_PAGES, 1, MAX_PARTS);
    parts = new Part[count];
    for (int i = 0; i < count; i++) {
      parts[i] = new Part(Math.toIntExact((capacity + i) / count));
    }
  }

  /** What it may hold, in bytes. */
  public long bytes() {
    return capacity * PAGE;
  }

  /**
   * A round begins in which pages are sent again.
   *
   * @param number of the round, higher than any before
   * @param keep whether another round may follow, so that what is sent is worth keeping
   */
  public void begin(int number, boolean keep) {
    if (slots.length == 0 && !(keep && makeTables())) {
      // Nothing is here that could be a base, and nothing will be: the guest may stand still.
      return;
    }
    round = Math.min(number, LAST_ROUND);
    keeping = keep;
    active = true;
  }

  /** Without the memory for them pages are sent whole; it is not what a migration fails of. */
  private boolean makeTables() {
    try {
      MemorySegment[] made = table(Integer.BYTES);
      resends = table(Byte.BYTES);
      rounds = table(Byte.BYTES);
      slots = made;
      return true;
    } catch (OutOfMemoryError e) {
      return false;
    }
  }

  /** Pages are sent whole from here on and not kept; forgets all that there are. */
  public void rest() {
    if (!active) {
      return;
    }
    active = false;
    for (Part part : parts) {
      part.clear();
    }
    for (MemorySegment[] tables : new MemorySegment[][] {slots, resends, rounds}) {
      for (MemorySegment table : tables) {
        table.fill((byte) 0);
      }
    }
  }

  /** Gives all memory back; may be called again. */
  @Override
  public void close() {
    active = false;
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }

  private MemorySegment[] table(int bytes) {
    return layout.regions().stream()
        .map(region -> arena.allocate(region.pages() * bytes, Long.BYTES))
        .toArray(MemorySegment[]::new);
  }

  /** Whether a base may be found. */
  boolean active() {
    return active;
  }

  /**
   * A page is being sent again: writes its difference if there is a base and it pays, and keeps the
   * page as the base of the next time.
   *
   * @param pages has the page as it is sent, 4096 bytes from {@code at}; nobody changes it
   * @param buffer the same memory
   * @param hash the low word of its {@link PageHash}
   * @param writer of the differences
   * @param tally is told what was found
   * @return how many bytes the writer wrote; 0 if the page is to be sent whole
   */
  int resend(
      int region,
      long page,
      MemorySegment pages,
      ByteBuffer buffer,
      int at,
      long hash,
      DeltaEncoder writer,
      PageTally tally) {
    Part part = part(region, page);
    synchronized (part) {
      int slot = slot(region, page);
      int worth = countResend(region, page);
      if (slot < 0) {
        tally.deltaMiss();
        if (keeping && worth > 0) {
          slot = part.room(worth, tally);
          if (slot >= 0) {
            part.owners[slot] = owner(region, page);
            setSlot(region, page, slot);
            part.keep(slot, pages, at);
          }
        }
        return 0;
      }
      tally.deltaHit();
      int bytes = writer.write(part.chunk(slot), part.offset(slot), pages, buffer, at, hash);
      if (bytes == 0) {
        drop(part, region, page, slot);
        resends[region].set(NUMBER, page, DID_NOT_PAY);
      } else if (keeping) {
        part.keep(slot, pages, at);
      } else {
        drop(part, region, page, slot);
      }
      return bytes;
    }
  }

  /**
   * These pages are sent as zeros or found there: what was known of them is not what the target
   * has.
   */
  void forget(int region, long firstPage, long count) {
    if (!active) {
      return;
    }
    for (long page = firstPage; page < firstPage + count; page++) {
      Part part = part(region, page);
      synchronized (part) {
        int slot = slot(region, page);
        if (slot >= 0) {
          drop(part, region, page, slot);
        }
      }
    }
  }

  /** Whether the difference of this page may be sent. */
  boolean remembers(int region, long page) {
    if (!active) {
      return false;
    }
    synchronized (part(region, page)) {
      return slot(region, page) >= 0;
    }
  }

  /** What is held of a page; null if it is not. For tests: nobody may send meanwhile. */
  @Nullable MemorySegment base(int region, long page) {
    if (slots.length == 0 || slot(region, page) < 0) {
      return null;
    }
    Part part = part(region, page);
    int slot = slot(region, page);
    return part.chunk(slot).asSlice(part.offset(slot), PAGE);
  }

  private Part part(int region, long page) {
    long mixed = ((page >>> NEIGHBOURS_SHIFT) + region) * 0x9E3779B97F4A7C15L;
    // The upper bits: multiples of this number lie evenly there, so parts fill at the same pace.
    return parts[(int) Math.unsignedMultiplyHigh(mixed, parts.length)];
  }

  private void drop(Part part, int region, long page, int slot) {
    setSlot(region, page, -1);
    part.release(slot);
  }

  /** Where the page is kept; −1 if it is not. Zero in the table, so that a fresh one is empty. */
  private int slot(int region, long page) {
    return slots[region].getAtIndex(SLOT, page) - 1;
  }

  private void setSlot(int region, long page, int slot) {
    slots[region].setAtIndex(SLOT, page, slot + 1);
  }

  private static long owner(int region, long page) {
    return ((long) region << REGION_SHIFT) | page;
  }

  /** What the page is worth now, this time included. */
  private int countResend(int region, long page) {
    int worth = Math.min(Byte.MAX_VALUE, worth(region, page) + 1);
    resends[region].set(NUMBER, page, (byte) worth);
    rounds[region].set(NUMBER, page, (byte) round);
    return worth;
  }

  /** How often it was sent again, halved for each round since in which it was not. */
  private int worth(int region, long page) {
    int missed = round - 1 - Byte.toUnsignedInt(rounds[region].get(NUMBER, page));
    return resends[region].get(NUMBER, page) >> Math.clamp(missed, 0, Byte.SIZE - 1);
  }

  private static int regionOf(long owner) {
    return (int) (owner >>> REGION_SHIFT);
  }

  private static long pageOf(long owner) {
    return owner & ((1L << REGION_SHIFT) - 1);
  }

  /** A share of the slots, guarded by its own monitor. */
  private final class Part {
    private int capacity;
    private MemorySegment[] chunks = {};

    /** Of each slot that has memory; of a free one the next free one, see {@link #release}. */
    private long[] owners = {};

    private int used;
    private int free = -1;
    private int hand;

    Part(int capacity) {
      this.capacity = capacity;
    }

    MemorySegment chunk(int slot) {
      return chunks[slot / CHUNK_PAGES];
    }

    long offset(int slot) {
      return (long) (slot % CHUNK_PAGES) * PAGE;
    }

    void keep(int slot, MemorySegment pages, int at) {
      MemorySegment.copy(pages, at, chunk(slot), offset(slot), PAGE);
    }

    /** A slot for a page of this worth, or −1. */
    int room(int worth, PageTally tally) {
      if (free >= 0) {
        int slot = free;
        free = (int) (NOBODY - 1 - owners[slot]);
        return slot;
      }
      if (used < capacity) {
        if (used < owners.length || grow()) {
          return used++;
        }
      }
      tally.deltaOverflow();
      return giveWay(worth);
    }

    /** Takes more memory; a process that may not have it makes do with what there is. */
    private boolean grow() {
      int pages = Math.min(CHUNK_PAGES, capacity - used);
      MemorySegment chunk;
      try {
        chunk = arena.allocate((long) pages * PAGE, Long.BYTES);
      } catch (OutOfMemoryError e) {
        capacity = used;
        return false;
      }
      chunks = Arrays.copyOf(chunks, chunks.length + 1);
      chunks[chunks.length - 1] = chunk;
      owners = Arrays.copyOf(owners, used + pages);
      return true;
    }

    /** Looks at the next few slots; the hand goes round and round. */
    private int giveWay(int worth) {
      int least = worth;
      int found = -1;
      for (int i = 0; i < Math.min(CANDIDATES, used); i++) {
        hand = hand + 1 < used ? hand + 1 : 0;
        int other = worth(regionOf(owners[hand]), pageOf(owners[hand]));
        if (other < least) {
          least = other;
          found = hand;
        }
      }
      if (found >= 0) {
        setSlot(regionOf(owners[found]), pageOf(owners[found]), -1);
      }
      return found;
    }

    /**
     * Free slots are chained by what stands in the place of their owners: below {@link #NOBODY}.
     */
    void release(int slot) {
      owners[slot] = NOBODY - 1 - free;
      free = slot;
    }

    synchronized void clear() {
      used = 0;
      free = -1;
      hand = 0;
    }
  }
}
