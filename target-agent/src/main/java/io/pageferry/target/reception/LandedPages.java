package io.pageferry.target.reception;

import io.micrometer.core.instrument.Counter;
import java.util.concurrent.atomic.LongAdder;

/** What has landed so far, over all data channels; written by their event loops, read by anyone. */
final class LandedPages {
  private final LongAdder pages = new LongAdder();
  private final LongAdder zeroPages = new LongAdder();
  private final LongAdder knownPages = new LongAdder();
  private final LongAdder foundPages = new LongAdder();
  private long countedPages;
  private long countedZero;
  private long countedFound;

  void add(long count) {
    pages.add(count);
  }

  void addZero(long count) {
    pages.add(count);
    zeroPages.add(count);
  }

  void addKnown(long count) {
    pages.add(count);
    knownPages.add(count);
  }

  /** Pages that were here, and of which parts have come; they count when they land. */
  void addEarlier(long count) {
    knownPages.add(count);
  }

  void addFound(long count) {
    pages.add(count);
    foundPages.add(count);
  }

  /** Pages whose content was found here. */
  long foundPages() {
    return foundPages.sum();
  }

  /** Pages that were here from an earlier time, whole or in part. */
  long knownPages() {
    return knownPages.sum();
  }

  /** All pages, duplicates and zero pages included. */
  long pages() {
    return pages.sum();
  }

  long zeroPages() {
    return zeroPages.sum();
  }

  /** Adds to the meters what they have not counted yet. Driver thread only. */
  void count(Counter all, Counter zero, Counter found) {
    long pagesNow = pages();
    long zeroNow = zeroPages();
    long foundNow = foundPages();
    all.increment((double) (pagesNow - countedPages));
    zero.increment((double) (zeroNow - countedZero));
    countedPages = pagesNow;
    countedZero = zeroNow;
    found.increment((double) (foundNow - countedFound));
    countedFound = foundNow;
  }
}
