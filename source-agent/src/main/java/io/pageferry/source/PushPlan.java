package io.pageferry.source;

import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.page.PageBatch;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

/**
 * What to push next in post-copy.
 *
 * <p>Pre-paging (Hines and Gopalan call it bubbling): around each page that the guest had to wait
 * for a bubble grows in both directions, because what lies beside it is likely to be touched next.
 * Several bubbles grow in turn, the least recent one gives way to a new one. A fault at the edge of
 * a bubble says that pushed pages come too late there: the bubble gets longer turns and leans
 * towards that side; a bubble that hears nothing more gets shorter turns again. Where no bubble has
 * anything left near it, what remains is swept from the first page to the last; that sweep is all
 * there is to active push.
 *
 * <p>Threading: {@link #touched} by any thread, without waiting; {@link #take} by any sender,
 * guarded by this object's lock.
 */
final class PushPlan implements PageWork {
  /** As many places at once as a guest's threads are likely to work in. */
  static final int MAX_BUBBLES = 8;

  /** Pages of a bubble's turn at first: 64 KiB. */
  static final int FIRST_WINDOW = 16;

  /** Pages of the longest turn: a MiB. */
  static final int MAX_WINDOW = 256;

  /** A fault so many pages off a bubble's edge is still the same walk. */
  private static final int REACH = 256;

  /** A bubble does not skip more pages than this that were sent already. */
  private static final int FAR = 1024;

  /** How many turns to the one side for one to the other, at most, and one more. */
  private static final int MAX_LEAN = 6;

  /** Faults that nobody has looked at; more say nothing new. */
  private static final int MAX_HINTS = 512;

  private record Touch(int region, long page) {}

  /** Pages low to high, without high, are taken care of. Guarded by the plan. */
  private static final class Bubble {
    private final int region;
    private long low;
    private long high;
    private int window = FIRST_WINDOW;
    private int turnLeft = FIRST_WINDOW;
    private int lean;
    private int steps;
    private boolean heard;

    private Bubble(int region, long page) {
      this.region = region;
      low = page;
      high = page + 1;
    }

    private boolean isNear(Touch touch) {
      return touch.region() == region && touch.page() >= low - REACH && touch.page() < high + REACH;
    }

    private void hear(long page) {
      boolean up = high - page <= page - low + 1;
      lean = up ? Math.min(MAX_LEAN, lean + 1) : Math.max(-MAX_LEAN, lean - 1);
      window = Math.min(MAX_WINDOW, window * 2);
      turnLeft = window;
      heard = true;
    }

    private boolean goesUp() {
      int step = steps++;
      return lean >= 0 ? step % (lean + 2) != lean + 1 : step % (2 - lean) == 1 - lean;
    }

    private void endTurn() {
      if (!heard) {
        window = Math.max(FIRST_WINDOW, window / 2);
      }
      heard = false;
      turnLeft = window;
    }
  }

  private final UnsentPages unsent;
  private final PushMode mode;
  private final int piecePages;
  private final int pieceRuns;
  private final BlockingQueue<Touch> hints = new ArrayBlockingQueue<>(MAX_HINTS);

  /** The first has its turn. */
  private final List<Bubble> bubbles = new ArrayList<>();

  private List<RoundWork.Holes> holes = List.of();
  private int sweepRegion;
  private long sweepPage;

  /**
   * @param peer what the target is ready to receive in one frame
   */
  PushPlan(UnsentPages unsent, PushMode mode, Limits peer) {
    this.unsent = unsent;
    this.mode = mode;
    piecePages = Math.min(RoundWork.PIECE_PAGES, PageBatch.maxPages(peer));
    pieceRuns = Math.min(piecePages, peer.maxRunsPerBatch());
  }

  /** The guest waits for this page, which is sent by others. */
  void touched(int region, long page) {
    if (mode == PushMode.PREPAGING) {
      // A hint that finds no room is not worth waiting for.
      var _ = hints.offer(new Touch(region, page));
    }
  }

  /** What is told before anything is pushed; claimed by the caller. */
  synchronized void tellFirst(List<RoundWork.Holes> claimed) {
    holes = List.copyOf(claimed);
  }

  @Override
  public synchronized List<RoundWork.Holes> holes() {
    return holes;
  }

  @Override
  public synchronized boolean take(RoundWork.Piece piece) {
    if (mode == PushMode.NONE) {
      piece.begin(0);
      return false;
    }
    for (Touch touch = hints.poll(); touch != null; touch = hints.poll()) {
      hear(touch);
    }
    while (!bubbles.isEmpty()) {
      Bubble bubble = bubbles.getFirst();
      if (grow(bubble, piece)) {
        bubble.turnLeft -= piece.pages();
        if (bubble.turnLeft <= 0) {
          bubble.endTurn();
          bubbles.add(bubbles.removeFirst());
        }
        return true;
      }
      bubbles.removeFirst();
    }
    return sweep(piece);
  }

  private void hear(Touch touch) {
    Bubble near = null;
    for (Bubble bubble : bubbles) {
      if (bubble.isNear(touch)) {
        near = bubble;
        break;
      }
    }
    if (near == null) {
      if (bubbles.size() == MAX_BUBBLES) {
        bubbles.removeLast();
      }
      near = new Bubble(touch.region(), touch.page());
    } else {
      bubbles.remove(near);
      near.hear(touch.page());
    }
    bubbles.addFirst(near);
  }

  /** Takes pages at one of the bubble's edges; false if there are none near it on either side. */
  private boolean grow(Bubble bubble, RoundWork.Piece piece) {
    int budget = Math.min(piecePages, bubble.turnLeft);
    return bubble.goesUp()
        ? up(bubble, piece, budget) || down(bubble, piece, budget)
        : down(bubble, piece, budget) || up(bubble, piece, budget);
  }

  private boolean up(Bubble bubble, RoundWork.Piece piece, int budget) {
    long end = Math.min(unsent.pages(bubble.region), bubble.high + FAR);
    long reached = fill(piece, bubble.region, bubble.high, end, budget);
    if (piece.pages() > 0) {
      bubble.high = reached;
    }
    return piece.pages() > 0;
  }

  private boolean down(Bubble bubble, RoundWork.Piece piece, int budget) {
    long begin = Math.max(0, bubble.low - FAR);
    piece.begin(bubble.region);
    long last = unsent.lastUnsent(bubble.region, begin, bubble.low);
    if (last < 0) {
      return false;
    }
    // Of so many pages no more than half of them can be runs of their own.
    long first = Math.max(begin, last + 1 - Math.min(budget, 2L * pieceRuns - 1));
    unsent.claimRange(
        bubble.region, first, last + 1, (region, page, count) -> piece.add(page, (int) count));
    bubble.low = first;
    return piece.pages() > 0;
  }

  private boolean sweep(RoundWork.Piece piece) {
    // Once around and the beginning of where it began.
    for (int tried = 0; tried <= unsent.regions(); tried++) {
      long reached = fill(piece, sweepRegion, sweepPage, unsent.pages(sweepRegion), piecePages);
      if (piece.pages() > 0) {
        sweepPage = reached;
        return true;
      }
      sweepRegion = (sweepRegion + 1) % unsent.regions();
      sweepPage = 0;
    }
    return false;
  }

  /**
   * Claims pages from a range, {@code budget} at most.
   *
   * @return the page behind the last one that was looked at
   */
  private long fill(RoundWork.Piece piece, int region, long from, long end, int budget) {
    piece.begin(region);
    long page = unsent.nextUnsent(region, from, end);
    while (page < end && piece.pages() < budget && piece.runs() < pieceRuns) {
      // Beginning with a page that is claimed, 2 n - 1 pages are n runs at most.
      long some = Math.min(budget - piece.pages(), 2L * (pieceRuns - piece.runs()) - 1);
      long stop = Math.min(end, page + some);
      unsent.claimRange(region, page, stop, (of, first, count) -> piece.add(first, (int) count));
      page = piece.pages() < budget ? unsent.nextUnsent(region, stop, end) : stop;
    }
    return page;
  }
}
