package io.pageferry.source;

import io.pageferry.guest.image.PageRunConsumer;
import io.pageferry.protocol.message.DirtySummary;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.page.PageBatch;
import io.pageferry.protocol.page.PageRuns;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What one round has to send, cut into pieces for the data channels to take in turn.
 *
 * <p>Long runs are cut into pieces of {@link #PIECE_PAGES}; short ones are gathered until they make
 * up a piece, so that scattered dirty pages still travel many to a frame. A piece never crosses
 * from one region into another.
 *
 * <p>Threading: filled by the driver, then sealed by handing it to the senders; {@link #take} is
 * called by any of them and guarded by this object's lock, as is {@link #cut}.
 */
final class RoundWork implements PageWork {
  /** 64 pages, 256 KiB: large enough for cheap sending, small enough to share among channels. */
  static final int PIECE_PAGES = 64;

  /**
   * Pages of a region that no memory backs. They are told, not read: reading them would cost as
   * much as reading data.
   */
  record Holes(int region, List<PageSpan> spans) {}

  private final int piecePages;
  private final int pieceRuns;
  private final List<Holes> holes = new ArrayList<>();
  private long[] firstPages = new long[64];
  private int[] counts = new int[64];
  private int[] regions = new int[64];
  private int size;
  private int next;
  private long pages;

  /**
   * An empty round.
   *
   * @param peer what the target is ready to receive in one frame
   */
  RoundWork(Limits peer) {
    piecePages = Math.min(PIECE_PAGES, PageBatch.maxPages(peer));
    pieceRuns = Math.min(PIECE_PAGES, peer.maxRunsPerBatch());
  }

  /** Adds a run, cut where it is longer than a piece. */
  void add(int region, long firstPage, long runPages) {
    pages += runPages;
    for (long done = 0; done < runPages; done += piecePages) {
      append(region, firstPage + done, (int) Math.min(piecePages, runPages - done));
    }
  }

  void addHoles(int region, List<PageSpan> spans) {
    if (!spans.isEmpty()) {
      holes.add(new Holes(region, List.copyOf(spans)));
      pages += spans.stream().mapToLong(PageSpan::count).sum();
    }
  }

  @Override
  public List<Holes> holes() {
    return holes;
  }

  private void append(int region, long firstPage, int count) {
    if (size == counts.length) {
      int larger = size * 2;
      firstPages = Arrays.copyOf(firstPages, larger);
      counts = Arrays.copyOf(counts, larger);
      regions = Arrays.copyOf(regions, larger);
    }
    firstPages[size] = firstPage;
    counts[size] = count;
    regions[size] = region;
    size++;
  }

  /** What this round will bring of each region, for the target to know: how many pages. */
  List<DirtySummary> summary(int round) {
    SortedMap<Integer, Long> perRegion = new TreeMap<>();
    for (int run = 0; run < size; run++) {
      perRegion.merge(regions[run], (long) counts[run], Long::sum);
    }
    for (Holes region : holes) {
      for (PageSpan span : region.spans()) {
        perRegion.merge(region.region(), span.count(), Long::sum);
      }
    }
    return perRegion.entrySet().stream()
        .map(entry -> new DirtySummary(round, entry.getKey(), entry.getValue(), List.of()))
        .toList();
  }

  /** All pages of this round; fewer after it was cut. */
  long pages() {
    return pages;
  }

  /**
   * Ends the round early: what no sender has taken is not this round's any more and goes to {@code
   * rest}. By the thread that filled it.
   */
  synchronized void cut(PageRunConsumer rest) throws IOException {
    for (int run = next; run < size; run++) {
      rest.run(regions[run], firstPages[run], counts[run]);
      pages -= counts[run];
    }
    size = next;
  }

  @Override
  public synchronized boolean take(Piece piece) {
    if (next == size) {
      piece.begin(0);
      return false;
    }
    piece.begin(regions[next]);
    while (next < size
        && regions[next] == piece.region
        && piece.runs < pieceRuns
        && piece.pages + counts[next] <= piecePages) {
      piece.add(firstPages[next], counts[next]);
      next++;
    }
    return true;
  }

  /** Runs of one region, to be read and sent together. Owned by the sender that took it. */
  static final class Piece implements PageRuns {
    private int region;
    private int runs;
    private int pages;
    private final long[] firstPages = new long[PIECE_PAGES];
    private final int[] counts = new int[PIECE_PAGES];

    /** Empties it; what is added from now on lies in this region. */
    void begin(int newRegion) {
      region = newRegion;
      runs = 0;
      pages = 0;
    }

    /** In ascending order; at most {@link #PIECE_PAGES} pages in all. */
    void add(long firstPage, int count) {
      firstPages[runs] = firstPage;
      counts[runs] = count;
      runs++;
      pages += count;
    }

    /** Behind the last page. */
    long endPage() {
      return firstPages[runs - 1] + counts[runs - 1];
    }

    @Override
    public int region() {
      return region;
    }

    @Override
    public int runs() {
      return runs;
    }

    @Override
    public int pages() {
      return pages;
    }

    @Override
    public long firstPage(int run) {
      return firstPages[run];
    }

    @Override
    public int count(int run) {
      return counts[run];
    }
  }
}
