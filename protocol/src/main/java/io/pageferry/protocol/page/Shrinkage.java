package io.pageferry.protocol.page;

/**
 * Decides where compressing by one codec is worth a try. After a run that did not shrink, more and
 * more pages go by untried, up to a limit; then one run is tried again, and one that shrinks brings
 * every run back. Incompressible memory so costs one try in the limit, and no more than that goes
 * out raw after its content has become compressible.
 *
 * <p>Owned by one thread.
 */
final class Shrinkage {
  /** The longest stretch without a try where trying may take as long as sending: 4 MiB. */
  static final int MAX_PAUSE_PAGES = 1024;

  /**
   * Where the link is so slow that a try takes a small part of what its pages take to cross: a
   * guest's memory changes from file to heap within some pages.
   */
  static final int NO_PAUSE = 0;

  private static final int FIRST_PAUSE_PAGES = PageBatch.MAX_LZ4_PAGES;

  private final int longestPause;

  /** The length of the present pause, as it was when it began; 0 if runs are being tried. */
  private int pause;

  private int untilProbe;

  /**
   * @param longestPause in pages; {@link #MAX_PAUSE_PAGES} or less
   */
  Shrinkage(int longestPause) {
    this.longestPause = longestPause;
  }

  /** Whether to try the next run of so many pages; a no counts them as gone by. */
  boolean worthTrying(int pages) {
    if (untilProbe <= 0) {
      return true;
    }
    untilProbe -= pages;
    return false;
  }

  /**
   * What became of a try.
   *
   * @return whether the compressed form is to be sent: it must save an eighth, or the time that
   *     both sides spend on it is not worth it
   */
  boolean tried(int rawBytes, int compressedBytes) {
    if (compressedBytes <= rawBytes - rawBytes / 8) {
      pause = 0;
      // A sample that shrinks ends a pause that samples of other content began.
      untilProbe = 0;
      return true;
    }
    pause = Math.min(longestPause, Math.max(2 * pause, FIRST_PAUSE_PAGES));
    untilProbe = pause;
    return false;
  }
}
