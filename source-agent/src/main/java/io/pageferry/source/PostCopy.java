package io.pageferry.source;

import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.ImageRegion;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.page.Digest;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.PageTally;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * Post-copy over one connection: the guest has moved, or is about to, and its missing pages follow:
 * those it waits for by {@link PageService}, the others by {@link PushPlan}.
 *
 * <p>Nothing changes the image any more: the guest here stands still for good.
 *
 * <p>Threading: the driver thread. Closing ends the answering; the connection is the caller's.
 */
final class PostCopy implements AutoCloseable {
  /** The target may have to land what is on its way; it is watched by its keep-alive. */
  private static final Duration LANDING = Duration.ofMinutes(10);

  private static final Duration COMPARISON = Duration.ofMinutes(2);
  private static final long WATCH_MILLIS = 20;

  /**
   * How it is done, whichever connection it is done over.
   *
   * @param push what is sent besides what the guest waits for
   */
  record Manner(PushMode push, Pacer pacer, Compression compress) {}

  /** The digest of the whole image, when all of it was sent. */
  interface WholeDigest {
    Digest value() throws IOException;
  }

  private final TargetLink link;
  private final int round;
  private final GuestImage image;
  private final ImageDigest digest;
  private final UnsentPages unsent;
  private final MigrationProgress progress;
  private final MigrationJournal journal;
  private final PushPlan plan;
  private final PageService service;

  /**
   * @param round of this part of post-copy
   * @param digest is told of each page that is sent
   * @param unsent what the target does not have
   */
  PostCopy(
      TargetLink link,
      int round,
      GuestImage image,
      ImageDigest digest,
      UnsentPages unsent,
      Manner manner,
      MigrationProgress progress,
      MigrationJournal journal) {
    this.link = link;
    this.round = round;
    this.image = image;
    this.digest = digest;
    this.unsent = unsent;
    this.progress = progress;
    this.journal = journal;
    plan = new PushPlan(unsent, manner.push(), link.limits());
    service =
        new PageService(
            link,
            round,
            image,
            unsent,
            plan,
            digest,
            manner.pacer(),
            manner.compress().urgently(link),
            progress);
  }

  /** From now on what the guest waits for is sent. */
  void answer() {
    link.fault().listen(service);
  }

  /**
   * Sends what is missing and has the target compare. The guest runs there meanwhile.
   *
   * @param rounds over the same connection; nothing is being sent by it
   * @param whole what the comparison is made with
   * @return what the target says of it; everything is there
   */
  Settled run(RoundSender rounds, WholeDigest whole) throws IOException, InterruptedException {
    long begin = System.nanoTime();
    PageTally pushed;
    progress.postcopyBegins(round, unsent.count());
    try {
      link.data().forEach(PeerChannel::keepUnsentSmall);
      plan.tellFirst(claimHoles());
      pushed = rounds.push(round, plan, this::requireOpen);
      while (unsent.count() > 0) {
        requireOpen();
        Thread.sleep(WATCH_MILLIS);
      }
    } catch (IOException | InterruptedException | RuntimeException e) {
      service.close();
      rounds.close();
      journal.postcopyRound(round, rounds.brokenOff(), service.sent(), System.nanoTime() - begin);
      throw e;
    }
    PageTally answered = service.finish();
    RoundLanded landed;
    try {
      landed = link.await(RoundLanded.class, LANDING);
    } finally {
      journal.postcopyRound(round, pushed, answered, System.nanoTime() - begin);
    }
    if (landed.pages() != pushed.pages() + answered.pages()) {
      throw new IOException(
          "the target landed %d pages of round %d, %d were sent"
              .formatted(landed.pages(), round, pushed.pages() + answered.pages()));
    }
    journal.allThere();
    Digest value = whole.value();
    link.send(new DigestValue(value.high(), value.low(), false));
    return link.await(Settled.class, COMPARISON);
  }

  /**
   * @throws IOException if the target cannot be reached on one of the channels any more
   */
  void requireOpen() throws IOException, InterruptedException {
    link.requireOpen();
    try {
      service.requireOpen();
    } catch (IOException e) {
      throw link.explain(e);
    }
  }

  /** What no memory backs is told, not read: it costs the target nothing but a bit. */
  private List<RoundWork.Holes> claimHoles() throws IOException {
    List<RoundWork.Holes> holes = new ArrayList<>();
    ImageDigest.Stripe stripe = digest.stripe();
    for (ImageRegion region : image.regions()) {
      List<PageSpan> spans = new ArrayList<>();
      long[] end = {0};
      image.populatedRuns(
          region.index(),
          (index, first, count) -> {
            claimHole(index, end[0], first, spans);
            end[0] = first + count;
          });
      claimHole(region.index(), end[0], region.pages(), spans);
      for (PageSpan span : spans) {
        stripe.zero(region.index(), span.firstPage(), span.count());
      }
      if (!spans.isEmpty()) {
        holes.add(new RoundWork.Holes(region.index(), spans));
      }
    }
    return holes;
  }

  private void claimHole(int region, long first, long end, List<PageSpan> spans) {
    unsent.claimRange(
        region, first, end, (of, page, count) -> spans.add(new PageSpan(page, count)));
  }

  @Override
  public void close() {
    service.close();
  }
}
