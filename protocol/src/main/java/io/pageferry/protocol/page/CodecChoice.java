package io.pageferry.protocol.page;

import java.util.Collections;
import java.util.EnumMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Decides how the pages of one channel are packed, by what their way costs at the moment.
 *
 * <p>Sending is two things at once: a thread reads, digests and packs pages, and the link carries
 * what was packed before. A byte of memory so takes the longer of
 *
 * <ul>
 *   <li>the thread's work: what it does to any byte, and packing it;
 *   <li>the link's time: what is left of the byte, divided by the rate at which the link takes it.
 * </ul>
 *
 * All of it is measured in nanoseconds of the clock while pages go out: the work of a thread that
 * the cores have no time for becomes dearer by itself. The rate of the link shows only while the
 * thread waits for it. A codec that is not in use packs a few pages now and then, for a small share
 * of the time.
 *
 * <p>After each {@link #INTERVAL_BYTES} the codec that promises to be faster by a tenth is put to
 * the test for as long, and stays if it was faster indeed. A thread that waits may be waiting for
 * the other side's work instead of the link, and how fast a link is that nobody waits for is not
 * known; so a codec with less work is put to the test as well, wherever work is a good part of the
 * time. What is clearly slower is noticed after {@link #GLIMPSE_BYTES}, and what goes out before
 * the buffers on the way can have been filled is not counted. A codec that loses is left alone for
 * a while, and for longer each time, until a byte takes half as long again as before or less: then
 * the link, the content or the load is another, and all are equal again.
 *
 * <p>Where the thread does little but wait, and a byte on the wire takes as long as before, the
 * clock tells content from content and not codec from codec: memory that shrinks less costs more
 * with any of them. There a tighter codec that looks slower stays in its test, until an interval
 * tells; and a looser one that looks faster has lost.
 *
 * <p>Pure arithmetic. Owned by one thread.
 */
final class CodecChoice {
  /** Memory over which is measured: a few milliseconds on the fastest of links. */
  static final long INTERVAL_BYTES = 4L << 20;

  /** Memory after which a test may end early. */
  static final long GLIMPSE_BYTES = 1L << 20;

  /**
   * Memory after which the buffers on the way have filled if the link is slower than the thread.
   */
  static final long BUFFERED_BYTES = 16L << 20;

  /** The most pages that a codec which is not in use packs at once. */
  static final int SAMPLE_PAGES = 16;

  /** What that may cost of the time since it did so last: a four hundredth for each codec. */
  private static final double SAMPLING =
      (double) INTERVAL_BYTES / (SAMPLE_PAGES * PageBatch.PAGE_BYTES) / 400;

  /** A smaller share of the time is not waiting, but handing frames over. */
  private static final double WAITING = 0.15;

  /** A share of work beyond which it may be what the other side's work is like, too. */
  private static final double BUSY = 0.25;

  /** The same where the link is known to be slow: there only a core that others want is as slow. */
  private static final double BUSY_ON_A_SLOW_LINK = 0.85;

  /** What a codec must promise to be put to the test: this part of the present time. */
  private static final double PROMISING = 0.9;

  /** What it must keep. */
  private static final double BETTER = 0.97;

  /** What ends the test early. */
  private static final double CLEARLY_WORSE = 1.25;

  /** So much dearer a byte on the wire may be for its link to be the same. */
  private static final double AS_QUICK = 1.05;

  /** How long a test may look bad, in nanoseconds: what was packed before is still on its way. */
  private static final long PATIENCE_NANOS = 15_000_000;

  /** So many times more or less mean that something else is being sent, or elsewhere. */
  private static final double CHANGED = 1.5;

  /** So many times what its test took a codec that lost is left alone, and then twice that. */
  private static final int FIRST_PAUSE = 40;

  private static final int LONGEST_PAUSE = 640;

  /** What is known of a codec; times in nanoseconds a byte of memory. */
  private static final class Known {
    /** Packing; not a number before it was measured. */
    private double cost = Double.NaN;

    /** What is left of a byte. */
    private double size = Double.NaN;

    /** Intervals since the former two were measured. */
    private int age;

    /** Until when it is left alone, by {@link #clock}. */
    private long pausedUntil;

    private int nextPause = FIRST_PAUSE;

    /** Whether it has packed nothing yet. */
    private boolean cold = true;

    /** What costs less than was thought is believed: this thread was kept from its work then. */
    void learn(double measuredCost, double measuredSize) {
      cost = Double.isNaN(cost) ? measuredCost : Math.min(measuredCost, (cost + measuredCost) / 2);
      size = Double.isNaN(size) ? measuredSize : (size + measuredSize) / 2;
      age = 0;
    }

    void lost(long testNanos, long clock) {
      pausedUntil = clock + nextPause * testNanos;
      nextPause = Math.min(2 * nextPause, LONGEST_PAUSE);
    }

    void begin() {
      cost = Double.NaN;
      size = Double.NaN;
      mayTryAgain();
    }

    void mayTryAgain() {
      pausedUntil = 0;
      nextPause = FIRST_PAUSE;
    }
  }

  private final Map<PageCodec, Known> known = new EnumMap<>(PageCodec.class);
  private final double busy;
  private PageCodec codec;

  /** What any byte costs besides packing. */
  private double base;

  /** What all of a byte took in the last interval that was not a lost test; 0 before the first. */
  private double last;

  /** What a byte on the wire took in that interval; 0 if the thread did more than wait then. */
  private double lastOnWire;

  /** What the present codec is tested against; null if it is not. */
  private @Nullable PageCodec before;

  /** What went out since the codec changed and is not counted. */
  private long passedBytes;

  /** Nanoseconds of sending so far. */
  private long clock;

  /** When the present codec's turn began. */
  private long begin;

  /** Whether what goes out now is counted. */
  private boolean settled;

  // Of the present interval.
  private long contentBytes;
  private long packedBytes;
  private long packingNanos;
  private long samplingNanos;
  private long wireBytes;
  private long workNanos;
  private long waitNanos;

  /** The last frame so far, and the one in front of the present interval; bytes. */
  private long frame;

  private long frameBefore;

  // Of the batch that is being made.
  private long batchContent;
  private long batchPacked;
  private long batchPacking;
  private long batchSampling;

  /**
   * @param codecs those to choose from; with a single one there is no choice
   * @param slowLink whether to begin with the tightest, and not with LZ4, and to stay with it as
   *     long as the core has time for it
   */
  CodecChoice(Set<PageCodec> codecs, boolean slowLink) {
    for (PageCodec each : codecs) {
      known.put(each, new Known());
    }
    busy = slowLink ? BUSY_ON_A_SLOW_LINK : BUSY;
    if (slowLink) {
      codec = Collections.max(codecs);
    } else {
      codec = codecs.contains(PageCodec.LZ4) ? PageCodec.LZ4 : known.keySet().iterator().next();
    }
    Known raw = known.get(PageCodec.RAW);
    if (raw != null) {
      raw.learn(0, 1);
    }
  }

  /** For the next pages; stays the same within a batch. */
  PageCodec codec() {
    return codec;
  }

  /** Which other codec is to pack a few pages, for knowledge only; null if none. */
  @Nullable PageCodec due() {
    for (Map.Entry<PageCodec, Known> each : known.entrySet()) {
      Known of = each.getValue();
      boolean other = each.getKey() != codec && each.getKey() != PageCodec.RAW;
      if (other && (Double.isNaN(of.cost) || of.age * last * SAMPLING > of.cost)) {
        return each.getKey();
      }
    }
    return null;
  }

  /**
   * Pages were packed by {@link #codec}, or passed through.
   *
   * @param raw their bytes
   * @param packed what is left of them
   * @param nanos what it took
   */
  void packed(long raw, long packed, long nanos) {
    batchContent += raw;
    batchPacked += packed;
    batchPacking += nanos;
  }

  /** Pages were packed by a codec that was {@link #due}, and the result thrown away. */
  void sampled(PageCodec which, long raw, long packed, long nanos) {
    batchSampling += nanos;
    Known of = known(which);
    if (of.cold) {
      // It still had to be given memory.
      of.cold = false;
    } else {
      of.learn((double) nanos / raw, (double) packed / raw);
    }
  }

  /**
   * The batch has been handed to the link.
   *
   * @param wire its bytes
   * @param work what reading and encoding it took
   * @param wait what handing it over took, mostly waiting for the link
   */
  void delivered(long wire, long work, long wait) {
    if (batchContent > 0 && known.size() > 1) {
      contentBytes += batchContent;
      packedBytes += batchPacked;
      packingNanos += batchPacking;
      samplingNanos += batchSampling;
      wireBytes += wire;
      frame = wire;
      workNanos += work;
      waitNanos += wait;
      if (settled ? contentBytes >= INTERVAL_BYTES || isClearlyWorse() : isGlimpse()) {
        judge();
      }
    }
    batchContent = 0;
    batchPacked = 0;
    batchPacking = 0;
    batchSampling = 0;
  }

  private boolean isWaiting() {
    return waitNanos >= WAITING * nanos();
  }

  private long nanos() {
    return workNanos + waitNanos - samplingNanos;
  }

  /** Ends no later than a megabyte should have gone, however little did. */
  private boolean isGlimpse() {
    return contentBytes >= GLIMPSE_BYTES || isClearlyWorse();
  }

  private boolean isClearlyWorse() {
    double limit = CLEARLY_WORSE * last * Math.max(GLIMPSE_BYTES, contentBytes);
    return before != null && nanos() > limit && !(isTighter(before) && isLinkTheSame());
  }

  private boolean isTighter(PageCodec than) {
    return codec.compareTo(than) > 0;
  }

  /**
   * Whether nothing but the link takes time, and as much for a byte as in the last interval. What
   * is waited for may be a frame behind what is counted.
   */
  private boolean isLinkTheSame() {
    return !isBusy() && nanos() <= AS_QUICK * lastOnWire * (wireBytes + frameBefore);
  }

  private boolean isBusy() {
    return nanos() - waitNanos >= busy * nanos();
  }

  private void judge() {
    clock += nanos();
    if (settled) {
      measure();
    } else {
      settle();
    }
    contentBytes = 0;
    packedBytes = 0;
    packingNanos = 0;
    samplingNanos = 0;
    wireBytes = 0;
    frameBefore = frame;
    workNanos = 0;
    waitNanos = 0;
  }

  /** With another codec buffers fill or empty first, which tells nothing of the link. */
  private void settle() {
    passedBytes += contentBytes;
    if (!isClearlyWorse()) {
      settled = passedBytes >= BUFFERED_BYTES || isWaiting();
    } else if (before != null && clock - begin >= PATIENCE_NANOS) {
      lose(before);
    }
  }

  /** The interval is over. */
  private void measure() {
    double now = (double) nanos() / contentBytes;
    double others = (double) Math.max(0, workNanos - packingNanos - samplingNanos) / contentBytes;
    base = last == 0 ? others : (base + others) / 2;
    known.values().forEach(of -> of.age++);
    known(codec).learn((double) packingNanos / contentBytes, (double) packedBytes / contentBytes);
    if (before != null) {
      boolean better = now <= BETTER * last;
      boolean tighter = isTighter(before);
      boolean linkOnly = isLinkTheSame();
      if (linkOnly && tighter && !better) {
        return; // the next interval may tell
      }
      if (!better || (linkOnly && !tighter)) {
        lose(before);
        return;
      }
    }
    if (before == null && last > 0 && (now > CHANGED * last || now * CHANGED < last)) {
      startAgain();
    }
    last = now;
    lastOnWire = isBusy() ? 0 : (double) nanos() / wireBytes;
    before = null;
    findBetter();
  }

  private void startAgain() {
    known.forEach(
        (which, of) -> {
          if (which != codec && which != PageCodec.RAW) {
            of.begin();
          } else {
            of.mayTryAgain();
          }
        });
  }

  private void lose(PageCodec to) {
    known(codec).lost(clock - begin, clock);
    use(to, null);
  }

  private void use(PageCodec next, @Nullable PageCodec tested) {
    codec = next;
    before = tested;
    settled = false;
    passedBytes = 0;
    begin = clock;
  }

  /** Puts the codec to the test that promises most, if any does. */
  private void findBetter() {
    double nanos = last * contentBytes;
    double rate = isWaiting() ? wireBytes / nanos : Double.POSITIVE_INFINITY;
    boolean isBusy = isBusy();
    double besides = (double) (wireBytes - packedBytes) / contentBytes;
    PageCodec best = null;
    double least = PROMISING * last;
    for (Map.Entry<PageCodec, Known> each : known.entrySet()) {
      Known of = each.getValue();
      if (each.getKey() == codec || of.pausedUntil > clock || Double.isNaN(of.cost)) {
        continue;
      }
      double work = base + of.cost;
      double expected = Math.max(work, (of.size + besides) / rate);
      if (expected >= least && isBusy && each.getKey().compareTo(codec) < 0) {
        expected = work;
      }
      if (expected < least) {
        best = each.getKey();
        least = expected;
      }
    }
    if (best != null) {
      use(best, codec);
    }
  }

  private Known known(PageCodec which) {
    Known of = known.get(which);
    if (of == null) {
      throw new IllegalStateException(which + " is not to be chosen");
    }
    return of;
  }
}
