package io.pageferry.target.reception;

import io.netty.buffer.ByteBuf;
import io.pageferry.protocol.channel.FrameListener;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.conversation.SourceConversation;
import io.pageferry.protocol.frame.Frame;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.message.MessageCodec;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.page.PageBatch;
import io.pageferry.protocol.page.PageDecoder;
import io.pageferry.protocol.page.PageSink;
import io.pageferry.target.MigrationAborted;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.FileSystemException;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Lands the pages of one channel, on the channel's event loop: decoded, landed, added to the
 * digest, before the next bytes are read. A slow image therefore makes the source wait. The fault
 * channel is one more channel, whose pages are waited for.
 *
 * <p>{@link #detach} may be called by any thread; after it returned nothing is written any more, so
 * the image and the digest may be closed. The monitor of this object guards that.
 */
final class PageLanding implements FrameListener, PageSink {
  private final int channel;
  private final String name;

  /** Closed when nothing is written any more. */
  private final PageDecoder decoder;

  private final RoundBarrier barrier;
  private final LandedPages landed;
  private final LinkEvents events;

  private final long begun = System.nanoTime();
  private Berth berth;
  private boolean detached;
  private long landedInRound;
  private int admittedRound;

  /** What was found of the pages that one frame refers to. */
  private final byte[] findings = new byte[PageBatch.MAX_REFERENCES];

  private int referred;

  private final SpareTime spareTime;
  private int pagesInFrame;

  /**
   * @param channels how many bring pages in all
   */
  PageLanding(
      int channel,
      int channels,
      String name,
      Berth berth,
      PageDecoder decoder,
      RoundBarrier barrier,
      LandedPages landed,
      LinkEvents events) {
    this.channel = channel;
    this.spareTime = new SpareTime(channels, SourceConversation.MAX_UNANSWERED_REFERENCES);
    this.name = name;
    this.berth = berth;
    this.decoder = decoder;
    this.barrier = barrier;
    this.landed = landed;
    this.events = events;
  }

  /** What comes from here on lands there. */
  synchronized void moveTo(Berth next) {
    berth = next;
  }

  @Override
  public synchronized void onFrame(PeerChannel from, Frame frame) throws IOException {
    try {
      if (detached) {
        return;
      }
      switch (frame.type()) {
        case PAGES -> land(from, frame.payload());
        case ROUND_END -> end((RoundEnd) MessageCodec.decode(frame.type(), frame.payload()));
        default -> throw ProtocolException.violation(frame.type() + " does not belong on " + name);
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

  private void land(PeerChannel from, ByteBuf payload) throws IOException {
    admittedRound = 0;
    referred = 0;
    pagesInFrame = 0;
    spareTime.begins(time());
    try {
      decoder.decode(payload, this);
      berth.flush();
    } finally {
      berth.release();
    }
    if (referred > 0) {
      answer(from);
    } else {
      spareTime.landed(time(), pagesInFrame);
    }
  }

  private static boolean isWanted(byte[] found) {
    for (byte finding : found) {
      if (finding == Found.WANTED) {
        return true;
      }
    }
    return false;
  }

  /** From 0 on. */
  private long time() {
    return System.nanoTime() - begun;
  }

  private void answer(PeerChannel to) throws ProtocolException {
    if (!to.isWritable()) {
      throw ProtocolException.violation("the answers to its references are not read on " + name);
    }
    byte[] found = Arrays.copyOf(findings, referred);
    to.send(barrier.answer(channel, admittedRound, found));
    spareTime.answered(time(), isWanted(found));
  }

  private void end(RoundEnd end) throws ProtocolException {
    long count = landedInRound;
    landedInRound = 0;
    barrier.end(channel, end, count);
  }

  @Override
  public void pages(int round, int region, long firstPage, ByteBuf data) throws IOException {
    admit(round);
    int count = data.readableBytes() / PageBatch.PAGE_BYTES;
    berth.pages(region, firstPage, data);
    if (round == 1 && spareTime.suffices()) {
      berth.remember(region, firstPage, data);
    }
    pagesInFrame += count;
    landedInRound += count;
    landed.add(count);
  }

  @Override
  public void known(int round, int region, long firstPage, int count) throws IOException {
    admit(round);
    if (round != 1) {
      throw ProtocolException.violation("a known page in round " + round);
    }
    berth.known(region, firstPage, count);
    landedInRound += count;
    landed.addKnown(count);
  }

  @Override
  public void earlier(int round, int region, long firstPage, int count, ByteBuffer into)
      throws IOException {
    admit(round);
    if (round != 1) {
      throw ProtocolException.violation("parts of a page in round " + round);
    }
    berth.earlier(region, firstPage, count, into);
    landed.addEarlier(count);
  }

  @Override
  public void references(int round, int region, long firstPage, int count, ByteBuf digests)
      throws IOException {
    admit(round);
    int held = berth.references(region, firstPage, count, digests, findings, referred);
    referred += count;
    landedInRound += held;
    landed.addFound(held);
  }

  @Override
  public void bases(int round, int region, long firstPage, ByteBuffer into) throws IOException {
    admit(round);
    berth.bases(region, firstPage, into);
  }

  @Override
  public void zero(int round, int region, long firstPage, long count) throws IOException {
    admit(round);
    berth.zero(region, firstPage, count);
    landedInRound += count;
    landed.addZero(count);
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
      stop();
      events.put(
          new ReceptionEvent.DataLost(
              new MigrationAborted(AbortReason.PEER_SILENT, name + " is lost: " + why, cause)));
    }
  }

  /** Nothing is written after this returned. */
  synchronized void detach() {
    stop();
  }

  private void stop() {
    detached = true;
    decoder.close();
  }

  private void fail(MigrationAborted failure) {
    stop();
    events.put(new ReceptionEvent.DataFailed(failure));
  }

  private static AbortReason writeFailure(IOException e) {
    String reason = e instanceof FileSystemException f ? f.getReason() : e.getMessage();
    return reason != null && reason.contains("No space left")
        ? AbortReason.NO_MEMORY
        : AbortReason.IO_ERROR;
  }
}
