package io.pageferry.source;

import io.pageferry.guest.dirty.GuestGoneException;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.guest.image.PageRunConsumer;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.message.DirtySummary;
import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.page.BaseCache;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.PageEncodings;
import io.pageferry.protocol.page.PageTally;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Sends one round after the other over all data channels.
 *
 * <p>A round ends when the target has landed it on every channel. The next one must not begin
 * before: a page that is sent again may take another channel, and could overtake its older self.
 *
 * <p>Threading: the driver calls; each channel has a thread of its own while a round is on. The
 * driver alone speaks on the control channel and ends the rounds on the data channels.
 */
final class RoundSender implements AutoCloseable {
  private static final long WATCH_MILLIS = 100;

  /** A little less, because a wait that is shorter than asked for must not double the pause. */
  private static final long WATCH_NANOS = TimeUnit.MILLISECONDS.toNanos(WATCH_MILLIS) * 9 / 10;

  /** How often the target is heard that says what it has. */
  private static final long HEAR_MILLIS = 2;

  private final TargetLink link;
  private final BooleanSupplier guestGone;
  private final MigrationProgress progress;
  private final @Nullable BaseCache bases;
  private final @Nullable WarmStart warm;
  private final boolean zeroRuns;
  private final DeltaRule deltaRule = new DeltaRule();
  private final List<PageSender> senders = new ArrayList<>();
  private final List<PageTally> tallies = new ArrayList<>();
  private final ExecutorService threads;

  /**
   * What a round came to.
   *
   * @param tally pages by encoding, and the bytes they took
   * @param nanos from its beginning to the target's acknowledgement
   * @param knownNanos what of that went to looking at pages that the target still had
   */
  record Sent(int round, long pages, PageTally tally, long nanos, long knownNanos) {
    /** Of a round in which the target had nothing yet. */
    Sent(int round, long pages, PageTally tally, long nanos) {
      this(round, pages, tally, nanos, 0);
    }

    /**
     * The time that the link had for {@link #linkPages}. Of so few bytes that it can have been idle
     * all that time, the whole round, because taking it for faster than it is costs downtime.
     */
    long linkNanos() {
      return tally.wireBytes() < Convergence.MEANINGFUL_BYTES
          ? nanos
          : Math.max(1, nanos - knownNanos);
    }

    /** Pages of which the link carried more than the name. */
    long linkPages() {
      return pages - tally.known() - tally.deduplicated();
    }
  }

  /** Looked at while a round is sent: the user may want it to end early. */
  interface Cut {
    boolean wanted();
  }

  /** Looks after something ten times a second while pages are sent; throws to end that. */
  interface Watch {
    void look() throws IOException, InterruptedException;
  }

  /**
   * @param guestGone whether the guest's process has ended while its pages are sent
   * @param encodings what may be used; its bases are closed with this
   * @param warm finds out what the target still has; null where it is not asked. Closed with this
   * @param dedup makes what says for each channel whether its pages are offered by their digests;
   *     null where they are not
   */
  RoundSender(
      TargetLink link,
      GuestImage image,
      BooleanSupplier guestGone,
      ImageDigest digest,
      Pacer pacer,
      PageEncodings encodings,
      @Nullable WarmStart warm,
      @Nullable Supplier<Deduplication> dedup,
      MigrationProgress progress) {
    this.warm = warm;
    this.link = link;
    this.guestGone = guestGone;
    this.progress = progress;
    this.bases = encodings.bases();
    this.zeroRuns = encodings.zeroRuns();
    List<PeerChannel> channels = link.data();
    for (int index = 0; index < channels.size(); index++) {
      senders.add(
          new PageSender(
              index,
              link,
              image,
              digest,
              pacer,
              encodings,
              warm,
              dedup == null ? null : dedup.get(),
              progress));
      tallies.add(new PageTally());
    }
    threads =
        Executors.newFixedThreadPool(
            channels.size(), Thread.ofPlatform().name("page-sender-", 0).daemon().factory());
  }

  /** What the first round sends: all memory, its holes by name only if that may be. */
  RoundWork everything(GuestImage image) throws IOException {
    RoundWork work = new RoundWork(link.limits());
    for (ImageRegion region : image.regions()) {
      List<PageSpan> holes = new ArrayList<>();
      long[] end = {0};
      image.populatedRuns(
          region.index(),
          (index, first, count) -> {
            if (first > end[0] && zeroRuns) {
              holes.add(new PageSpan(end[0], first - end[0]));
            } else if (first > end[0]) {
              work.add(index, end[0], first - end[0]);
            }
            work.add(index, first, count);
            end[0] = first + count;
          });
      long pages = region.bytes() / 4096;
      if (pages > end[0] && !zeroRuns) {
        work.add(region.index(), end[0], pages - end[0]);
      } else if (pages > end[0]) {
        holes.add(new PageSpan(end[0], pages - end[0]));
      }
      work.addHoles(region.index(), holes);
    }
    return work;
  }

  /** What a later round sends; clears the marks. */
  RoundWork of(DirtyPages dirty) throws IOException {
    RoundWork work = new RoundWork(link.limits());
    dirty.drainTo(work::add);
    return work;
  }

  /**
   * Sends a round and returns when the target has landed it.
   *
   * @param last whether the guest stands still
   * @throws GuestGoneException if the guest's process ended meanwhile
   */
  Sent send(int round, RoundWork work, boolean last) throws IOException, InterruptedException {
    return send(round, work, last, () -> false, (region, first, count) -> {});
  }

  /**
   * The same for a round that may end early.
   *
   * @param rest gets what is not sent then
   */
  Sent send(int round, RoundWork work, boolean last, Cut cut, PageRunConsumer rest)
      throws IOException, InterruptedException {
    long begin = System.nanoTime();
    link.send(new RoundBegin(round, last, work.pages()));
    for (DirtySummary summary : work.summary(round)) {
      link.send(summary);
    }
    progress.roundBegins(round, work.pages());
    prepareBases(round, last);
    if (warm != null && round == 1) {
      warm.begin();
    }
    PageTally tally =
        sendPages(
            round,
            work,
            round == 1 || !last,
            () -> {
              if (guestGone.getAsBoolean()) {
                throw new GuestGoneException("the guest ended");
              }
              if (cut.wanted()) {
                work.cut(rest);
              }
            });
    endRound(round);
    RoundLanded landed = link.await(RoundLanded.class, TargetLink.LANDING);
    if (landed.pages() != work.pages()) {
      throw new IOException(
          "the target landed %d pages of round %d, %d were sent"
              .formatted(landed.pages(), round, work.pages()));
    }
    long knownNanos = senders.stream().mapToLong(PageSender::knownNanos).sum() / senders.size();
    Sent sent = new Sent(round, work.pages(), tally, System.nanoTime() - begin, knownNanos);
    forget();
    deltaRule.learn(sent.tally().wireBytes(), sent.linkNanos());
    progress.deltas(tally);
    progress.deduplicated(tally.deduplicated());
    return sent;
  }

  /** What the target had counts in the first round only. */
  private void forget() {
    if (warm != null) {
      warm.close();
    }
  }

  /** Every page of the first round is new to the target. */
  private void prepareBases(int round, boolean last) {
    if (bases == null) {
      return;
    }
    if (round > 1 && deltaRule.worthwhile()) {
      bases.begin(round, !last);
    } else {
      bases.rest();
    }
  }

  /**
   * Sends work of which nobody knows beforehand how much it is, and ends the round on the data
   * channels; what the target makes of it is the caller's.
   */
  PageTally push(int round, PageWork work, Watch watch) throws IOException, InterruptedException {
    if (bases != null) {
      // What the target has of these pages is void.
      bases.close();
    }
    forget();
    PageTally tally = sendPages(round, work, false, watch);
    endRound(round);
    return tally;
  }

  private PageTally sendPages(int round, PageWork work, boolean mayRefer, Watch watch)
      throws IOException, InterruptedException {
    CompletionService<PageTally> shares = new ExecutorCompletionService<>(threads);
    List<Future<PageTally>> futures = new ArrayList<>();
    for (PageSender sender : senders) {
      futures.add(shares.submit(() -> sender.send(round, work, mayRefer)));
    }
    try {
      PageTally sum = new PageTally();
      long looked = System.nanoTime();
      for (int done = 0; done < futures.size(); ) {
        WarmStart hearing = warm != null && warm.open() ? warm : null;
        Future<PageTally> share =
            shares.poll(hearing != null ? HEAR_MILLIS : WATCH_MILLIS, TimeUnit.MILLISECONDS);
        if (share != null) {
          sum.add(share.get());
          done++;
        } else if (System.nanoTime() - looked >= WATCH_NANOS) {
          watch.look();
          looked = System.nanoTime();
        }
        // When nobody sends any more the answer would come to nothing.
        if (hearing != null && done < futures.size()) {
          hearing.look();
        }
      }
      for (int index = 0; index < futures.size(); index++) {
        tallies.set(index, futures.get(index).get());
      }
      return sum;
    } catch (ExecutionException e) {
      throw cause(e);
    } finally {
      futures.forEach(future -> future.cancel(true));
    }
  }

  private void endRound(int round) throws IOException {
    for (int index = 0; index < senders.size(); index++) {
      link.endRound(index, new RoundEnd(round, tallies.get(index).pages()));
    }
  }

  private IOException cause(ExecutionException e) throws InterruptedException {
    Throwable cause = e.getCause();
    if (cause instanceof IOException io) {
      return link.explain(io);
    }
    if (cause instanceof RuntimeException unexpected) {
      throw unexpected;
    }
    throw new IllegalStateException(cause);
  }

  /** What the round brought that broke off; only after {@link #close}. */
  PageTally brokenOff() {
    PageTally sum = new PageTally();
    senders.forEach(sender -> sum.add(sender.sent()));
    return sum;
  }

  @Override
  public void close() {
    // The senders' buffers may only go once nobody uses them any more; closing the channels has
    // ended every blocked send.
    threads.shutdownNow();
    boolean interrupted = false;
    while (true) {
      try {
        threads.awaitTermination(Long.MAX_VALUE, TimeUnit.NANOSECONDS);
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    senders.forEach(PageSender::close);
    forget();
    if (bases != null) {
      bases.close();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
