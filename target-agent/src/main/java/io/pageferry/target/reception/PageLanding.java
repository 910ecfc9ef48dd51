package io.pageferry.target.reception;

import io.netty.buffer.ByteBuf;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.channel.FrameListener;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.frame.Frame;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.MessageCodec;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.page.ImageDigest;
import io.pageferry.protocol.page.PageBatch;
import io.pageferry.protocol.page.PageDecoder;
import io.pageferry.protocol.page.PageSink;
import io.pageferry.target.MigrationAborted;
import java.io.IOException;
import java.nio.file.FileSystemException;
import org.jspecify.annotations.Nullable;

/**
 * Lands the pages of one data channel in the image, on the channel's event loop: decoded, written,
 * added to the digest, before the next bytes are read. A slow image therefore makes the source
 * wait.
 *
 * <p>A zero page becomes a hole, also where memory was reserved or an older page had landed: holes
 * stay holes, and read as zeros.
 *
 * <p>{@link #detach} may be called by any thread; after it returned nothing is written any more, so
 * the image and the digest may be closed. The monitor of this object guards that.
 */
final class PageLanding implements FrameListener, PageSink {
  private final int channel;
  private final GuestImage image;
  private final PageDecoder decoder;
  private final ImageDigest.Stripe stripe;
  private final RoundBarrier barrier;
  private final LandedPages landed;
  private final ReceptionInbox inbox;

  private boolean detached;
  private long landedInRound;
  private int admittedRound;

  /** A run of zero pages that may go on; punching is a system call, so neighbours share one. */
  private int zeroRegion;

  private long zeroFirst;
  private long zeroCount;

  PageLanding(
      int channel,
      GuestImage image,
      PageDecoder decoder,
      ImageDigest.Stripe stripe,
      RoundBarrier barrier,
      LandedPages landed,
      ReceptionInbox inbox) {
    this.channel = channel;
    this.image = image;
    this.decoder = decoder;
    this.stripe = stripe;
    this.barrier = barrier;
    this.landed = landed;
    this.inbox = inbox;
  }

  @Override
  public synchronized void onFrame(PeerChannel from, Frame frame) throws IOException {
    try {
      if (detached) {
        return;
      }
      switch (frame.type()) {
        case PAGES -> land(frame.payload());
        case ROUND_END -> end((RoundEnd) MessageCodec.decode(frame.type(), frame.payload()));
        default ->
            throw ProtocolException.violation(
                frame.type() + " does not belong on data channel " + channel);
      }
    } catch (ProtocolException e) {
      fail(new MigrationAborted(e.reason(), String.valueOf(e.getMessage()), e));
      throw e;
    } catch (IOException e) {
      fail(
          new MigrationAborted(
              writeFailure(e), "a page cannot be written on the target: " + e.getMessage(), e));
      throw e;
    } finally {
      frame.release();
    }
  }

  private void land(ByteBuf payload) throws IOException {
    admittedRound = 0;
    decoder.decode(payload, this);
    flushZero();
  }

  private void end(RoundEnd end) throws ProtocolException {
    long count = landedInRound;
    landedInRound = 0;
    barrier.end(channel, end, count);
  }

  @Override
  public void pages(int round, int region, long firstPage, ByteBuf data) throws IOException {
    admit(round);
    flushZero();
    int count = data.readableBytes() / PageBatch.PAGE_BYTES;
    image.write(region, firstPage, data.nioBuffer());
    stripe.pages(region, firstPage, data);
    landedInRound += count;
    landed.add(count);
  }

  @Override
  public void zero(int round, int region, long firstPage, long count) throws IOException {
    admit(round);
    if (zeroCount > 0 && zeroRegion == region && zeroFirst + zeroCount == firstPage) {
      zeroCount += count;
    } else {
      flushZero();
      zeroRegion = region;
      zeroFirst = firstPage;
      zeroCount = count;
    }
    stripe.zero(region, firstPage, count);
    landedInRound += count;
    landed.addZero(count);
  }

  private void flushZero() throws IOException {
    if (zeroCount > 0) {
      long count = zeroCount;
      zeroCount = 0;
      image.clear(zeroRegion, zeroFirst, count);
    }
  }

  /** Asked once a frame: all runs of a frame are of one round. */
  private void admit(int round) throws ProtocolException {
    if (round != admittedRound) {
      barrier.admit(channel, round);
      admittedRound = round;
    }
  }

  @Override
  public synchronized void onClosed(PeerChannel from, @Nullable Throwable cause) {
    if (!detached) {
      String why = cause == null ? "it was closed" : String.valueOf(cause.getMessage());
      detached = true;
      inbox.put(
          new ReceptionEvent.DataLost(
              new MigrationAborted(
                  AbortReason.PEER_SILENT, "data channel " + channel + " is lost: " + why, cause)));
    }
  }

  /** Nothing is written after this returned. */
  synchronized void detach() {
    detached = true;
  }

  private void fail(MigrationAborted failure) {
    detached = true;
    inbox.put(new ReceptionEvent.DataFailed(failure));
  }

  private static AbortReason writeFailure(IOException e) {
    String reason = e instanceof FileSystemException f ? f.getReason() : e.getMessage();
    return reason != null && reason.contains("No space left")
        ? AbortReason.NO_MEMORY
        : AbortReason.IO_ERROR;
  }
}
