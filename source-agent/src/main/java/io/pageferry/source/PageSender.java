package io.pageferry.source;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.PageEncoder;
import io.pageferry.protocol.page.PageEncodings;
import io.pageferry.protocol.page.PageTally;
import io.pageferry.protocol.page.ZeroPages;
import java.io.IOException;
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
  private final PeerChannel channel;
  private final int maxRuns;
  private final GuestImage image;
  private final ImageDigest.Stripe digest;
  private final Pacer pacer;
  private final MigrationProgress progress;
  private final boolean zeroRuns;
  private final @Nullable WarmStart warm;
  private final PageEncoder encoder;
  private final RoundWork.Piece piece = new RoundWork.Piece();
  private PageTally tally = new PageTally();
  private final ZeroSpans zeros;
  private long knownNanos;

  PageSender(
      int index,
      PeerChannel channel,
      Limits limits,
      GuestImage image,
      ImageDigest digest,
      Pacer pacer,
      PageEncodings encodings,
      @Nullable WarmStart warm,
      MigrationProgress progress) {
    this.index = index;
    this.channel = channel;
    this.maxRuns = limits.maxRunsPerBatch();
    this.image = image;
    this.digest = digest.stripe();
    this.pacer = pacer;
    this.progress = progress;
    this.zeroRuns = encodings.zeroRuns();
    this.warm = warm;
    this.encoder = new PageEncoder(PooledByteBufAllocator.DEFAULT, encodings);
    this.zeros = new ZeroSpans(maxRuns);
  }

  /**
   * Sends pieces of the work until none is left.
   *
   * @return what went out on this channel
   */
  PageTally send(int round, PageWork work) throws IOException, InterruptedException {
    tally = new PageTally();
    knownNanos = 0;
    if (index == 0) {
      for (RoundWork.Holes holes : work.holes()) {
        sendHoles(round, holes.region(), holes.spans(), tally);
      }
    }
    while (work.take(piece)) {
      awaitWord(round);
      sendPiece(round, tally);
    }
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

  private void sendPiece(int round, PageTally tally) throws IOException, InterruptedException {
    long begin = System.nanoTime();
    ByteBuf snapshot = encoder.snapshotBuffer(piece.pages());
    try {
      for (int run = 0; run < piece.runs(); run++) {
        int bytes = piece.count(run) * PAGE;
        int at = snapshot.writerIndex();
        image.read(piece.region(), piece.firstPage(run), snapshot.nioBuffer(at, bytes));
        snapshot.writerIndex(at + bytes);
      }
    } catch (IOException | RuntimeException e) {
      snapshot.release();
      throw e;
    }
    if (zeroRuns && ZeroPages.isZero(snapshot, snapshot.readerIndex(), snapshot.readableBytes())) {
      snapshot.release();
      gatherZeros(round, tally);
      return;
    }
    long read = System.nanoTime();
    try {
      // Before this piece: a guest may be waiting for one of them, and this one may take long.
      sendZeros(round, tally);
    } catch (IOException | InterruptedException | RuntimeException e) {
      snapshot.release();
      throw e;
    }
    long encode = System.nanoTime();
    long known = tally.known();
    ByteBuf frame = encoder.encode(round, piece, snapshot, digest, tally);
    int bytes = frame.readableBytes();
    long emit = System.nanoTime();
    emit(frame, piece.pages());
    if (tally.known() - known == piece.pages()) {
      // Not the wait for the link, which is that of the pages in front.
      knownNanos += emit - begin;
    } else {
      encoder.delivered(bytes, read - begin + emit - encode, System.nanoTime() - emit);
    }
  }

  /** A piece that is all zero waits for more of its kind: one frame can name gigabytes of them. */
  private void gatherZeros(int round, PageTally tally) throws IOException, InterruptedException {
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
    try {
      pacer.await(bytes);
    } catch (InterruptedException e) {
      frame.release();
      throw e;
    }
    channel.sendFrame(frame);
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
