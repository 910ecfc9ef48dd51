package io.pageferry.protocol.page;

import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Found;
import java.util.Arrays;

/**
 * Which pages of one snapshot the target was asked to look for, and what it said of each. A page is
 * known by its place in the snapshot, from 0.
 *
 * <p>Reused from snapshot to snapshot; owned by one thread at a time.
 */
public final class ReferredPages {
  private final short[] places = new short[PageBatch.MAX_PAGES];

  /** By place; 0 for a page that was not asked for, or not answered yet. */
  private final byte[] findings = new byte[PageBatch.MAX_PAGES];

  private int count;

  /** None. */
  public void clear() {
    Arrays.fill(findings, (byte) 0);
    count = 0;
  }

  /** The page at this place is asked for, behind those that were added before. */
  void add(int place) {
    places[count++] = (short) place;
  }

  /** How many are asked for. */
  public int count() {
    return count;
  }

  /**
   * The target's answer.
   *
   * @throws ProtocolException if it is of another number of pages
   */
  public void found(Found found) throws ProtocolException {
    if (found.pages() != count) {
      throw ProtocolException.violation(
          found.pages() + " pages were looked for, " + count + " were to be");
    }
    for (int i = 0; i < count; i++) {
      findings[places[i]] = found.findings()[i];
    }
  }

  /** How many of them are there, or on their way there. */
  public int notWanted() {
    int pages = 0;
    for (int i = 0; i < count; i++) {
      pages += findings[places[i]] == Found.WANTED ? 0 : 1;
    }
    return pages;
  }

  /** What is coming by another way is not waited for: it is sent. */
  public void waitForNone() {
    for (int i = 0; i < count; i++) {
      if (findings[places[i]] == Found.COMING) {
        findings[places[i]] = Found.WANTED;
      }
    }
  }

  /** Whether the page has landed there. */
  public boolean held(int place) {
    return findings[place] == Found.HELD;
  }

  /** Whether the page is neither there nor to be sent now. */
  public boolean coming(int place) {
    return findings[place] == Found.COMING;
  }
}
