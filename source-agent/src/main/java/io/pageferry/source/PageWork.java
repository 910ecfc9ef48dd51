package io.pageferry.source;

import java.util.List;

/** What senders take pieces from, each its own, until none is left. Any number of threads. */
interface PageWork {
  /** Pages that no memory backs: the first sender tells them before it takes a piece. */
  List<RoundWork.Holes> holes();

  /**
   * Fills {@code piece} with runs of one region, {@link RoundWork#PIECE_PAGES} at most.
   *
   * @return false when nothing is left
   */
  boolean take(RoundWork.Piece piece);
}
