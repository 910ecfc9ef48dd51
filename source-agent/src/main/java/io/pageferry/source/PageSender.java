package io.pageferry.source;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.conversation.SourceConversation;
import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.PageBatch;
import io.pageferry.protocol.page.PageEncoder;
import io.pageferry.protocol.page.PageEncodings;
import io.pageferry.protocol.page.PageTally;
import io.pageferry.protocol.page.ZeroPages;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads, digests, encodes and sends pages on one data channel.
 *
 * <p>A page is copied out of the image once, into a snapshot, and everything after that (digest,
 * checksum, encoding, what is kept as the base of its next delta) looks at the snapshot: the guest
 * goes on writing, and bytes read twice would not be the same bytes.
 *
 * <p>Threading: one thread at a time, the one that runs {@link #send}; it blocks while the channel
 * takes no more, which is what makes a slow target slow down its source.
 */
final class PageSender implements AutoCloseable {
  private static final int PAGE = 4096;

  private final int index;
  private final TargetLink link;
  private final PeerChannel channel;
  private final int maxRuns;
  private final GuestImage image;
  private final ImageDigest.Stripe digest;
  private final Pacer pacer;
  private final MigrationProgress progress;
  private final boolean zeroRuns;
  private final @Nullable WarmStart warm;
  private final @Nullable Deduplication dedup;
  private final PageEncoder encoder;

  /** What is taken next. */
  private OfferedPiece taking = new OfferedPiece();

  /** Pieces that wait for the target's word, the oldest first. */
  private final ArrayDeque<OfferedPiece> offered = new ArrayDeque<>();

  private final ArrayDeque<OfferedPiece> spare = new ArrayDeque<>();
  private final ComingPages coming;
  private PageTally tally = new PageTally();
  private final ZeroSpans zeros;
  private long knownNanos;

  /** What was sent, and waited for, since the encoder last heard of it. */
  private long linkBytes;

  private long linkNanos;

  /** What was handed to the link in all, and how long that took. */
  private long emittedBytes;

  private long emittingNanos;

  /** Frames since the encoder last heard that brought nothing new. */
  private int framesOfKnown;

  PageSender(
      int index,
      TargetLink link,
      GuestImage image,
      ImageDigest digest,
      Pacer pacer,
      PageEncodings encodings,
      @Nullable WarmStart warm,
      @Nullable Deduplication dedup,
      MigrationProgress progress) {
    this.index = index;
    this.link = link;
    this.channel = link.data().get(index);
    this.maxRuns = link.limits().maxRunsPerBatch();
    this.image = image;
    this.digest = digest.stripe();
    this.pacer = pacer;
    this.progress = progress;
    this.zeroRuns = encodings.zeroRuns();
    this.warm = warm;
    this.dedup = dedup;
    this.coming =
        new ComingPages(Math.min(RoundWork.PIECE_PAGES, PageBatch.maxPages(link.limits())));
    this.encoder = new PageEncoder(PooledByteBufAllocator.DEFAULT, encodings);
    this.zeros = new ZeroSpans(maxRuns);
  }

  /**
   * Sends pieces of the work until none is left.
   *
   * @param mayRefer whether the target may be asked for the content of pages first
   * @return what went out on this channel
   */
  PageTally send(int round, PageWork work, boolean mayRefer)
      throws IOException, InterruptedException {
    try {
      return sendAll(round, work, mayRefer);
    } finally {
      // None is left unless it broke off.
      offered.forEach(OfferedPiece::release);
      offered.clear();
    }
  }

  private PageTally sendAll(int round, PageWork work, boolean mayRefer)
      throws IOException, InterruptedException {
    tally = new PageTally();
    knownNanos = 0;
    framesOfKnown = 0;
    linkBytes = 0;
    linkNanos = 0;
    coming.clear();
    if (dedup != null) {
      dedup.beginRound();
    }
    if (index == 0) {
      for (RoundWork.Holes holes : work.holes()) {
        sendHoles(round, holes.region(), holes.spans(), tally);
      }
    }
    while (work.take(taking.piece)) {
      awaitWord(round);
      sendPiece(round, mayRefer, false);
    }
    settle(round, false);
    // The content that they share with others has gone out meanwhile, or nobody sends it.
    while (coming.take(taking.piece)) {
      sendPiece(round, true, true);
    }
    settle(round, true);
    sendZeros(round, tally);
    channel.flush();
    return tally;
  }

  /** What the last round brought so far; for whoever has waited for its thread. */
  PageTally sent() {
    return tally;
  }

  /** What of the last round went to pages that the target still had. */
  long knownNanos() {
    return knownNanos;
  }

  /** The target is about to say whether it has these pages. */
  private void awaitWord(int round) throws InterruptedException {
    if (warm != null && round == 1) {
      RoundWork.Piece piece = taking.piece;
      int last = piece.runs() - 1;
      long begin = System.nanoTime();
      warm.await(piece.region(), piece.firstPage(last) + piece.count(last));
      knownNanos += System.nanoTime() - begin;
    }
  }

  private void sendHoles(int round, int region, List<PageSpan> spans, PageTally tally)
      throws IOException, InterruptedException {
    for (int from = 0; from < spans.size(); from += maxRuns) {
      List<PageSpan> some = spans.subList(from, Math.min(spans.size(), from + maxRuns));
      long covered = some.stream().mapToLong(PageSpan::count).sum();
      emit(encoder.encodeZero(round, region, some, tally), covered);
    }
  }

  private void sendPiece(int round, boolean mayRefer, boolean again)
      throws IOException, InterruptedException {
    RoundWork.Piece piece = taking.piece;
    long begin = System.nanoTime();
    ByteBuf snapshot = snapshot(piece);
    if (zeroRuns && ZeroPages.isZero(snapshot, snapshot.readerIndex(), snapshot.readableBytes())) {
      snapshot.release();
      gatherZeros(round, piece);
      return;
    }
    taking.readNanos = System.nanoTime() - begin;
    taking.keep(snapshot);
    try {
      // Before this piece: a guest may be waiting for one of them, and this one may take long.
      sendZeros(round, tally);
      if (mayRefer && dedup != null) {
        offerOrSend(round, dedup, snapshot, again);
        return;
      }
      taking.referred.clear();
      sendContent(round, taking);
    } finally {
      taking.release();
    }
  }

  private void offerOrSend(int round, Deduplication choice, ByteBuf snapshot, boolean again)
      throws IOException, InterruptedException {
    if (!choice.offering()) {
      // What was offered before is not to be counted to what is not.
      settle(round, again);
    }
    long begin = System.nanoTime() - taking.readNanos;
    long bytesBefore = emittedBytes;
    long waitedBefore = emittingNanos;
    int pages = 0;
    if (choice.offering() && refer(round, snapshot)) {
      offered.add(taking);
      taking = spare.isEmpty() ? new OfferedPiece() : spare.poll();
      // One for one as soon as there is an answer: until then the link has nothing to carry but
      // digests, and what more is answered covers the time to the target and back.
      if (offered.size() == SourceConversation.MAX_UNANSWERED_REFERENCES || link.hasFound(index)) {
        pages = sendWhatIsWanted(round, again);
      }
    } else {
      pages = taking.piece.pages();
      taking.referred.clear();
      sendContent(round, taking);
    }
    if (!again) {
      choice.sent(
          pages,
          emittedBytes - bytesBefore,
          System.nanoTime() - begin,
          emittingNanos - waitedBefore);
    }
  }

  private ByteBuf snapshot(RoundWork.Piece piece) throws IOException {
    ByteBuf snapshot = encoder.snapshotBuffer(piece.pages());
    try {
      for (int run = 0; run < piece.runs(); run++) {
        int bytes = piece.count(run) * PAGE;
        int at = snapshot.writerIndex();
        image.read(piece.region(), piece.firstPage(run), snapshot.nioBuffer(at, bytes));
        snapshot.writerIndex(at + bytes);
      }
      return snapshot;
    } catch (IOException | RuntimeException e) {
      snapshot.release();
      throw e;
    }
  }

  /** Whether the target was asked for anything of the piece that is taken. */
  private boolean refer(int round, ByteBuf snapshot) throws IOException, InterruptedException {
    long begin = System.nanoTime();
    ByteBuf frame = encoder.refer(round, taking.piece, snapshot, taking.referred, tally);
    // Hashing is not the link's time.
    knownNanos += System.nanoTime() - begin;
    var _ = encoder.takeLookingNanos();
    if (frame == null) {
      return false;
    }
    try {
      link.refer(index, round, taking.referred.count());
    } catch (IOException e) {
      frame.release();
      throw e;
    }
    emit(frame, 0);
    return true;
  }

  /** Hears of all pieces that wait. */
  private void settle(int round, boolean again) throws IOException, InterruptedException {
    while (!offered.isEmpty()) {
      var _ = sendWhatIsWanted(round, again);
    }
  }

  /**
   * Hears of the oldest piece, and sends what the target does not have of it.
   *
   * @return how many pages have been dealt with by that
   */
  private int sendWhatIsWanted(int round, boolean again) throws IOException, InterruptedException {
    OfferedPiece oldest = offered.element();
    long begin = System.nanoTime();
    oldest.referred.found(link.found(index));
    linkNanos += System.nanoTime() - begin;
    if (again || coming.full()) {
      oldest.referred.waitForNone();
    }
    if (dedup != null && !again) {
      dedup.answered(oldest.referred.count(), oldest.referred.notWanted());
    }
    int place = 0;
    int putOff = 0;
    for (int run = 0; run < oldest.piece.runs(); run++) {
      for (int i = 0; i < oldest.piece.count(run); i++, place++) {
        if (oldest.referred.coming(place)) {
          coming.add(oldest.piece.region(), oldest.piece.firstPage(run) + i);
          putOff++;
        }
      }
    }
    sendContent(round, oldest);
    offered.remove();
    spare.add(oldest);
    return place - putOff;
  }

  /** Sends of a piece what is not found there; of one that was not offered, all of it. */
  private void sendContent(int round, OfferedPiece sending)
      throws IOException, InterruptedException {
    long begin = System.nanoTime();
    long before = tally.pages();
    long known = tally.known();
    long found = tally.deduplicated();
    ByteBuf frame =
        encoder.encode(round, sending.piece, sending.take(), sending.referred, digest, tally);
    long pages = tally.pages() - before;
    if (frame == null) {
      progress.sent(pages, 0);
      return;
    }
    long workNanos = sending.readNanos + System.nanoTime() - begin;
    emit(frame, pages);
    long looking = encoder.takeLookingNanos();
    if (tally.known() - known + tally.deduplicated() - found == pages) {
      knownNanos += workNanos;
      if (++framesOfKnown > 1) {
        // The pages in front of the first of them are on their way by now.
        linkBytes = 0;
        linkNanos = 0;
      }
    } else {
      // With what waited since the last such frame: on a slow link a frame of a few bytes waits for
      // the pages in front of it, and the link would look as fast as it is for what comes next.
      knownNanos += looking;
      encoder.delivered(linkBytes, workNanos, linkNanos);
      framesOfKnown = 0;
      linkBytes = 0;
      linkNanos = 0;
    }
  }

  /** A piece that is all zero waits for more of its kind: one frame can name gigabytes of them. */
  private void gatherZeros(int round, RoundWork.Piece piece)
      throws IOException, InterruptedException {
    if (!zeros.takes(piece)) {
      sendZeros(round, tally);
    }
    for (int run = 0; run < piece.runs(); run++) {
      digest.zero(piece.region(), piece.firstPage(run), piece.count(run));
      zeros.add(piece.region(), piece.firstPage(run), piece.count(run));
    }
  }

  private void sendZeros(int round, PageTally tally) throws IOException, InterruptedException {
    if (zeros.pages() > 0) {
      long covered = zeros.pages();
      emit(encoder.encodeZero(round, zeros.region(), zeros.drain(), tally), covered);
    }
  }

  private void emit(ByteBuf frame, long pages) throws IOException, InterruptedException {
    int bytes = frame.readableBytes();
    long begin = System.nanoTime();
    try {
      pacer.await(bytes);
    } catch (InterruptedException e) {
      frame.release();
      throw e;
    }
    channel.sendFrame(frame);
    long waited = System.nanoTime() - begin;
    linkBytes += bytes;
    linkNanos += waited;
    emittedBytes += bytes;
    emittingNanos += waited;
    progress.sent(pages, bytes);
    if (warm != null) {
      warm.sent(bytes);
    }
  }

  @Override
  public void close() {
    encoder.close();
  }
}
