package io.pageferry.source;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.channel.FrameListener;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.frame.Frame;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.MessageCodec;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.PageEncoder;
import io.pageferry.protocol.page.PageTally;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/**
 * Sends the pages that the guest on the target waits for, at once: on the fault channel's own event
 * loop, past the pacer (which counts them), never behind a page that nobody waits for.
 *
 * <p>A page that somebody has claimed is on its way already; asking for it again changes nothing.
 * While the channel takes no more, requests wait here, and a target that goes on asking without
 * reading the answers breaks the protocol.
 *
 * <p>Threading: frames come on the event loop; {@link #finish}, {@link #requireOpen} and {@link
 * #close} are the driver's. This object's lock guards everything.
 */
final class PageService implements FrameListener, AutoCloseable {
  private static final int PAGE = 4096;

  /** A thread waits for the first of these pages, so the frame must not get long. */
  private static final int FRAME_PAGES = 16;

  /** More requests than a guest has threads; each may name a huge page. */
  private static final int MAX_WAITING = 4096;

  private final TargetLink link;
  private final int round;
  private final GuestImage image;
  private final UnsentPages unsent;
  private final PushPlan plan;
  private final ImageDigest.Stripe digest;
  private final Pacer pacer;
  private final MigrationProgress progress;
  private final PageEncoder encoder;
  private final PageTally tally = new PageTally();
  private final RoundWork.Piece piece = new RoundWork.Piece();
  private final Deque<PageRequest> waiting = new ArrayDeque<>();
  private @Nullable Throwable lost;
  private boolean closed;

  /**
   * @param plan is told where the guest is
   * @param compress whether LZ4 may be used; nothing slower is
   */
  PageService(
      TargetLink link,
      int round,
      GuestImage image,
      UnsentPages unsent,
      PushPlan plan,
      ImageDigest digest,
      Pacer pacer,
      boolean compress,
      MigrationProgress progress) {
    this.link = link;
    this.round = round;
    this.image = image;
    this.unsent = unsent;
    this.plan = plan;
    this.digest = digest.stripe();
    this.pacer = pacer;
    this.progress = progress;
    this.encoder = new PageEncoder(PooledByteBufAllocator.DEFAULT, compress);
  }

  @Override
  public synchronized void onFrame(PeerChannel channel, Frame frame) throws IOException {
    Message message;
    try {
      message = MessageCodec.decode(frame.type(), frame.payload());
    } finally {
      frame.release();
    }
    if (!(message instanceof PageRequest request)) {
      throw ProtocolException.violation("%s on the fault channel".formatted(message.type()));
    }
    link.requested(request);
    if (waiting.size() == MAX_WAITING) {
      throw ProtocolException.violation("page requests without end, and no answer is read");
    }
    waiting.add(request);
    onWritable(channel);
  }

  @Override
  public synchronized void onWritable(PeerChannel channel) throws IOException {
    while (!closed && channel.isWritable() && !waiting.isEmpty()) {
      answer(channel, waiting.remove());
    }
  }

  private void answer(PeerChannel channel, PageRequest request) throws IOException {
    int region = request.region();
    piece.begin(region);
    long last = -1;
    for (long page : request.pages()) {
      if (!unsent.claim(region, page)) {
        continue;
      }
      if (piece.pages() == FRAME_PAGES || page < last) {
        send(channel);
        piece.begin(region);
      }
      piece.add(page, 1);
      last = page;
    }
    if (piece.pages() > 0) {
      send(channel);
    }
    // Also of a page that is on its way: there the push comes too late.
    plan.touched(region, request.pages()[0]);
  }

  private void send(PeerChannel channel) throws IOException {
    ByteBuf snapshot = encoder.snapshotBuffer(piece.pages());
    try {
      for (int run = 0; run < piece.runs(); run++) {
        int at = snapshot.writerIndex();
        image.read(piece.region(), piece.firstPage(run), snapshot.nioBuffer(at, PAGE));
        snapshot.writerIndex(at + PAGE);
      }
    } catch (IOException | RuntimeException e) {
      snapshot.release();
      throw e;
    }
    int pages = piece.pages();
    ByteBuf frame = encoder.encode(round, piece, snapshot, digest, tally);
    int bytes = frame.readableBytes();
    channel.sendNow(frame);
    pacer.charge(bytes);
    progress.sent(pages, bytes);
    progress.faulted(pages);
  }

  @Override
  public synchronized void onClosed(PeerChannel channel, @Nullable Throwable cause) {
    lost = cause != null ? cause : new IOException("the fault channel was closed");
    waiting.clear();
  }

  /**
   * @throws IOException if nothing can be asked any more
   */
  synchronized void requireOpen() throws IOException {
    if (lost instanceof IOException io) {
      throw io;
    }
    if (lost != null) {
      throw new IOException("the fault channel failed: " + lost.getMessage(), lost);
    }
  }

  /**
   * Ends the round on the fault channel; every page is claimed by now, so that no answer can
   * follow.
   *
   * @return what was sent
   */
  synchronized PageTally finish() throws ProtocolException {
    link.endFaultRound(new RoundEnd(round, tally.pages()));
    return tally;
  }

  /** What was sent so far. */
  synchronized PageTally sent() {
    PageTally copy = new PageTally();
    copy.add(tally);
    return copy;
  }

  /** Answers nothing any more. */
  @Override
  public synchronized void close() {
    closed = true;
    waiting.clear();
    encoder.close();
  }
}
