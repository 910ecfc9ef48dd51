package io.pageferry.target.content;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Where the content with a digest was said to be. A hash table of buckets of {@value #WAYS}, which
 * grows with what is put in and is bounded: in a full bucket the new entry takes the place of an
 * old one. An entry is 16 bytes off the heap: 64 bits of the digest, and file and page.
 *
 * <p>Any thread; guarded by its own monitor.
 */
final class ContentIndex {
  /** Of one bucket: so many places may be named for one digest. */
  static final int WAYS = 4;

  private static final int ENTRY = 2 * Long.BYTES;
  private static final int SMALLEST = 1 << 12;
  private static final int PAGE_BITS = 34;

  /** So many files' pages; the numbers of files that are gone are given to others. */
  private static final int MAX_FILES = 1 << 16;

  private final int maxEntries;
  private final List<@Nullable PageFile> files = new ArrayList<>();
  private MemorySegment table;
  private int entries;
  private int used;
  private int victim;

  /** Where a page may be; a plain holder that a search uses again and again. */
  static final class Places {
    final @Nullable PageFile[] file = new @Nullable PageFile[WAYS];
    final long[] page = new long[WAYS];
    int count;
  }

  /**
   * @param maxEntries a power of two
   */
  ContentIndex(int maxEntries) {
    this.maxEntries = maxEntries;
    this.entries = Math.min(SMALLEST, maxEntries);
    this.table = allocate(entries);
  }

  private static MemorySegment allocate(int entries) {
    // Many may hold this index: it goes when nobody does.
    return Arena.ofAuto().allocate((long) entries * ENTRY, Long.BYTES);
  }

  /**
   * Pages of this file may be put in.
   *
   * @return false if there are too many files
   */
  synchronized boolean add(PageFile file) {
    int free = files.indexOf(null);
    if (free >= 0) {
      files.set(free, file);
      return true;
    }
    return files.size() < MAX_FILES && files.add(file);
  }

  /** Files that are gone: what was put in of them is not found any more. */
  synchronized void removeIf(Predicate<PageFile> gone) {
    files.replaceAll(file -> file != null && gone.test(file) ? null : file);
  }

  /** Whether nothing can be found. */
  synchronized boolean isEmpty() {
    return files.stream().allMatch(file -> file == null);
  }

  /**
   * What is known of a digest.
   *
   * @param key its first 64 bits
   */
  synchronized void find(long key, Places places) {
    places.count = 0;
    long bucket = bucket(entries, key);
    for (int way = 0; way < WAYS; way++) {
      long at = bucket + (long) way * ENTRY;
      long place = table.get(ValueLayout.JAVA_LONG, at + Long.BYTES);
      PageFile file = place == 0 ? null : fileOf(place);
      if (file != null && table.get(ValueLayout.JAVA_LONG, at) == key) {
        places.file[places.count] = file;
        places.page[places.count] = place & ((1L << PAGE_BITS) - 1);
        places.count++;
      }
    }
  }

  private @Nullable PageFile fileOf(long place) {
    int number = (int) (place >>> PAGE_BITS) - 1;
    return number < files.size() ? files.get(number) : null;
  }

  /** The content with this digest is said to be there; what was said of it before is forgotten. */
  synchronized void put(long key, PageFile file, long page) {
    int number = files.indexOf(file);
    if (number < 0) {
      return;
    }
    long place = (number + 1L) << PAGE_BITS | page;
    while (!put(table, entries, key, place)) {
      if (used < entries / 4 || !grow()) {
        long at = bucket(entries, key) + (long) (victim++ & (WAYS - 1)) * ENTRY;
        table.set(ValueLayout.JAVA_LONG, at, key);
        table.set(ValueLayout.JAVA_LONG, at + Long.BYTES, place);
        return;
      }
    }
  }

  private boolean put(MemorySegment into, int size, long key, long place) {
    long bucket = bucket(size, key);
    long free = -1;
    for (int way = 0; way < WAYS; way++) {
      long at = bucket + (long) way * ENTRY;
      long there = into.get(ValueLayout.JAVA_LONG, at + Long.BYTES);
      if (there != 0 && into.get(ValueLayout.JAVA_LONG, at) == key) {
        into.set(ValueLayout.JAVA_LONG, at + Long.BYTES, place);
        return true;
      }
      if (free < 0 && (there == 0 || fileOf(there) == null)) {
        free = at;
      }
    }
    if (free < 0) {
      return false;
    }
    if (into.get(ValueLayout.JAVA_LONG, free + Long.BYTES) == 0) {
      used++;
    }
    into.set(ValueLayout.JAVA_LONG, free, key);
    into.set(ValueLayout.JAVA_LONG, free + Long.BYTES, place);
    return true;
  }

  /** False if it is as large as it may be, or there is no memory for more. */
  private boolean grow() {
    if (entries >= maxEntries) {
      return false;
    }
    MemorySegment larger;
    try {
      larger = allocate(entries * 2);
    } catch (OutOfMemoryError e) {
      return false;
    }
    MemorySegment old = table;
    int count = entries;
    table = larger;
    entries = count * 2;
    used = 0;
    for (long at = 0; at < (long) count * ENTRY; at += ENTRY) {
      long place = old.get(ValueLayout.JAVA_LONG, at + Long.BYTES);
      if (place != 0 && fileOf(place) != null) {
        // Two buckets come of each, so there is room.
        put(larger, entries, old.get(ValueLayout.JAVA_LONG, at), place);
      }
    }
    return true;
  }

  /** A digest is as good as random, so its own bits scatter it. */
  private static long bucket(int size, long key) {
    long buckets = size / WAYS;
    return (key & (buckets - 1)) * WAYS * ENTRY;
  }
}
