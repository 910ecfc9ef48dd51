package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.Arrays;

/**
 * What the target found of the pages that the source referred to in one batch, on the data channel
 * by which the batch came and in the order of the batches.
 *
 * @param round the batch's
 * @param findings for each page of the batch {@link #HELD}, {@link #WANTED} or {@link #COMING}, 1
 *     to {@value #MAX_PAGES} pages. Not copied: nobody may change them
 */
@SuppressWarnings("ArrayRecordComponent") // equals, hashCode and toString are written out below
public record Found(int round, byte[] findings) implements Message {
  /** Its content was here, is now at its place too, and counts as landed. */
  public static final byte HELD = 1;

  /** Its content was not found: it is to be sent. */
  public static final byte WANTED = 2;

  /**
   * Its content is not here yet, but another page of the same content has been asked for: better to
   * ask again at the end of the round, or else to send it.
   */
  public static final byte COMING = 3;

  /** Of one batch; as many as can be sent in one in any other encoding. */
  public static final int MAX_PAGES = 240;

  public Found {
    Bounds.check("round", round, 1, Integer.MAX_VALUE);
    Bounds.check("number of pages", findings.length, 1, MAX_PAGES);
    for (byte finding : findings) {
      Bounds.check("finding", finding, HELD, COMING);
    }
  }

  /** How many pages it speaks of. */
  public int pages() {
    return findings.length;
  }

  @Override
  public FrameType type() {
    return FrameType.FOUND;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Found that
        && round == that.round
        && Arrays.equals(findings, that.findings);
  }

  @Override
  public int hashCode() {
    return 31 * round + Arrays.hashCode(findings);
  }

  @Override
  public String toString() {
    return "Found[round=" + round + ", " + pages() + " pages]";
  }
}
