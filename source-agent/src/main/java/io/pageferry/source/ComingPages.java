package io.pageferry.source;

import java.util.Arrays;

/**
 * Pages that are not sent for now because the same content is on its way to the target as another
 * page: the target is asked for them once more when everything else has been sent. So many as
 * {@value #MOST}; others are sent.
 *
 * <p>Owned by one sender.
 */
final class ComingPages {
  private static final int MOST = 1 << 20;

  private final int piecePages;
  private long[] pages = new long[64];
  private int[] regions = new int[64];
  private int size;
  private int next;

  /**
   * @param piecePages the most pages of a piece
   */
  ComingPages(int piecePages) {
    this.piecePages = piecePages;
  }

  void clear() {
    size = 0;
    next = 0;
  }

  /** Whether no more can be put off. */
  boolean full() {
    return size >= MOST;
  }

  void add(int region, long page) {
    if (size == pages.length) {
      pages = Arrays.copyOf(pages, size * 2);
      regions = Arrays.copyOf(regions, size * 2);
    }
    pages[size] = page;
    regions[size] = region;
    size++;
  }

  /** Neighbours that were put off one after the other become one run. */
  boolean take(RoundWork.Piece piece) {
    piece.begin(next < size ? regions[next] : 0);
    while (next < size && regions[next] == piece.region() && piece.pages() < piecePages) {
      int count = 1;
      while (next + count < size
          && regions[next + count] == regions[next]
          && pages[next + count] == pages[next] + count
          && piece.pages() + count < piecePages) {
        count++;
      }
      if (piece.runs() > 0 && pages[next] < piece.endPage()) {
        break;
      }
      piece.add(pages[next], count);
      next += count;
    }
    return piece.runs() > 0;
  }
}
