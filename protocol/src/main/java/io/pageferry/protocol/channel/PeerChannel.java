package io.pageferry.protocol.channel;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.IoEventLoop;
import io.pageferry.protocol.channel.PeerLostException.Kind;
import io.pageferry.protocol.frame.Frame;
import io.pageferry.protocol.frame.FrameEncoder;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.KeepAlive;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.MessageCodec;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * A framed channel to a peer, kept alive and watched, with a blocking view for the thread that
 * drives a migration.
 *
 * <p>What comes in waits in a bounded queue for {@link #receive} (when it is full the peer waits),
 * until {@link #listen} hands it to a listener on the event loop. What goes out is bounded too:
 * {@link #sendFrame} waits while more than a few MiB are on their way, {@link #sendNow} leaves the
 * bound to its caller.
 *
 * <p>All methods may be called from any thread unless they say otherwise. The owner must {@link
 * #close()} it, also after it was lost.
 */
@SuppressWarnings(
    "FutureReturnValueIgnored") // failed writes come back through their listener and end the
// channel
public final class PeerChannel implements AutoCloseable {
  /** How long {@link #close()} waits for a peer to take what was sent. */
  private static final Duration FLUSH_LIMIT = Duration.ofSeconds(5);

  private final Channel channel;
  private final String peerName;
  private final LifeSigns lifeSigns;
  private final TransportSettings settings;
  private final FrameQueue queue = new FrameQueue();
  private final WriteGate gate = new WriteGate();
  private final AtomicReference<@Nullable PeerLostException> end = new AtomicReference<>();
  private final AtomicBoolean flushing = new AtomicBoolean();
  private final AtomicBoolean closing = new AtomicBoolean();
  private final AnswerWatch answers;
  private final ChannelFutureListener onWritten = written -> writeEnded(written.cause());
  private volatile PeerIdentity identity;

  // Owned by the event loop.
  private @Nullable FrameListener listener;
  private @Nullable Throwable listenerFailure;
  private boolean inactive;
  private long keepAlives;

  PeerChannel(Channel channel, String peerName, LifeSigns lifeSigns, TransportSettings settings) {
    this.channel = channel;
    this.peerName = peerName;
    this.lifeSigns = lifeSigns;
    this.settings = settings;
    this.answers = EventLoops.watchOf(channel);
    identity = PeerIdentity.plaintext(channel.remoteAddress());
  }

  /**
   * Sends a message at once. Never blocks: control messages are few. On a channel that has ended
   * the message is dropped, and the next {@link #receive} or {@link #sendFrame} says why the
   * channel ended.
   *
   * @throws IllegalArgumentException if the message cannot be encoded
   */
  public void send(Message message) {
    channel.writeAndFlush(FrameEncoder.frame(message, channel.alloc())).addListener(onWritten);
  }

  /**
   * Sends a complete frame, usually of pages. Blocks while the peer is slower than this side, which
   * is how back pressure reaches the sender; frames of one thread leave in order, together with its
   * messages. Not for event-loop threads.
   *
   * @param frame header and payload; passes to the channel in any case, also when this throws
   * @throws PeerLostException if the channel has ended, with the reason as its message
   */
  public void sendFrame(ByteBuf frame) throws PeerLostException, InterruptedException {
    boolean passed = false;
    try {
      if (channel.eventLoop().inEventLoop()) {
        throw new IllegalStateException("sendFrame may block, so not on an event loop");
      }
      gate.await(() -> channel.isWritable() || end.get() != null);
      PeerLostException lost = end.get();
      if (lost != null) {
        throw lost.here();
      }
      passed = true;
    } finally {
      if (!passed) {
        frame.release();
      }
    }
    channel.write(frame).addListener(onWritten);
    flush();
  }

  /**
   * Sends a complete frame without ever waiting. On the channel's event loop it is written and
   * flushed within this call, so that an urgent page is with the kernel when it returns; from any
   * other thread that happens one hop later.
   *
   * <p>Nothing bounds what is sent this way: look at {@link #isWritable} first, and go on in {@link
   * FrameListener#onWritable}. On a channel that has ended the frame is dropped.
   *
   * @param frame header and payload; passes to the channel in any case
   */
  public void sendNow(ByteBuf frame) {
    channel.writeAndFlush(frame).addListener(onWritten);
  }

  /**
   * Sends a question whose answer somebody waits for: as {@link #send}, and then the event loop
   * looks for the answer without falling asleep, for some hundred microseconds at most.
   */
  public void ask(Message question) {
    ByteBuf frame = FrameEncoder.frame(question, channel.alloc());
    if (channel.eventLoop().inEventLoop()) {
      askNow(frame);
    } else {
      channel.eventLoop().execute(() -> askNow(frame));
    }
  }

  private void askNow(ByteBuf frame) {
    sendNow(frame);
    answers.asked();
  }

  /** Whether less is on its way than the bound at which {@link #sendFrame} waits. */
  public boolean isWritable() {
    return channel.isWritable();
  }

  /**
   * This is the channel that others must not delay: its packets go first where the system and the
   * network can do that, and no further channel shares its event loop. An accepted channel becomes
   * urgent when its peer has said what it is for; {@link PeerConnector#connectUrgent} makes one
   * from the start.
   */
  public void urgent() {
    EventLoops.reserve(channel);
    SocketUrgency.first(channel);
  }

  /**
   * Has the event loop watch a descriptor besides its sockets, so that what is read there and what
   * is then sent here takes one thread. Ends with the channel. Only with epoll.
   *
   * @param descriptor open until {@code ended}
   * @param readable called on the event loop when there is something to read; false if it should
   *     not be called again. Must not block
   * @param ended called once, by any thread, when the descriptor is no longer watched
   * @return ends the watch, soon; from any thread
   */
  public Runnable watch(int descriptor, BooleanSupplier readable, Runnable ended) {
    if (!(channel.eventLoop() instanceof IoEventLoop loop) || !DescriptorWatch.possibleOn(loop)) {
      ended.run();
      return () -> {};
    }
    DescriptorWatch watch = new DescriptorWatch(descriptor, readable, ended);
    watch.begin(loop);
    channel.closeFuture().addListener(closed -> watch.cancel(loop));
    return () -> watch.cancel(loop);
  }

  /**
   * From now on little waits between {@link #sendFrame} and the network: 128 KiB in the kernel
   * (where the transport can say so: epoll, io_uring) and as much in this process. What was handed
   * over cannot be overtaken any more, so in post-copy a page that the guest comes to need would
   * wait for everything in front of it. Costs throughput on long, fast links.
   */
  public void keepUnsentSmall() {
    SocketUrgency.keepUnsentSmall(channel);
  }

  /**
   * The same for the receiving end: from now on little waits in the kernel to be read. A page that
   * the guest comes to need may be in there already, and then nothing can overtake what is in front
   * of it. Only where the peer is near (epoll tells) and the throughput does not suffer.
   */
  public void keepUnreadSmall() {
    SocketUrgency.keepUnreadSmall(channel);
  }

  /**
   * Sees to it that everything sent so far goes out; {@link #send} and {@link #sendFrame} do it
   * themselves.
   */
  public void flush() {
    if (flushing.compareAndSet(false, true)) {
      channel.eventLoop().execute(this::flushLater);
    }
  }

  /**
   * A write that found the flag up is behind this task in the event loop's queue, so flushing here
   * would miss it: lower the flag, and flush behind whatever was queued until then.
   */
  private void flushLater() {
    flushing.set(false);
    channel.eventLoop().execute(channel::flush);
  }

  /**
   * The next message. Messages that came before the channel ended are still returned.
   *
   * @throws PeerAbortedException if the message is the peer's ABORT
   * @throws ProtocolException if the frame is not a valid message (a batch of pages is none)
   * @throws PeerLostException if nothing is left and the channel has ended, with the reason as its
   *     message
   * @throws TimeoutException if nothing came in time; the channel is as it was
   * @throws IllegalStateException if a listener takes this channel's frames
   */
  public Message receive(Duration timeout)
      throws ProtocolException,
          PeerLostException,
          PeerAbortedException,
          TimeoutException,
          InterruptedException {
    Frame frame = queue.poll(timeout.toNanos());
    if (frame == null) {
      PeerLostException lost = end.get();
      if (lost != null) {
        throw lost.here();
      }
      throw new TimeoutException(
          peerName + " did not answer within " + PeerFailure.seconds(timeout));
    }
    Message message;
    try {
      message = MessageCodec.decode(frame.type(), frame.payload());
    } finally {
      frame.release();
      resumeReading();
    }
    if (message instanceof Abort abort) {
      throw new PeerAbortedException(abort.reason(), abort.text());
    }
    return message;
  }

  /** Whether {@link #receive} would return a message, or throw what is wrong with one, at once. */
  public boolean hasFrame() {
    return !queue.isEmpty();
  }

  /**
   * From now on the listener takes the frames, on the event loop; those that already wait come
   * first. Once only, and not together with {@link #receive}.
   */
  public void listen(FrameListener frameListener) {
    channel.eventLoop().execute(() -> startListening(frameListener));
  }

  private void startListening(FrameListener frameListener) {
    if (listener != null) {
      throw new IllegalStateException("this channel already has a listener");
    }
    listener = frameListener;
    try {
      for (Frame frame = queue.poll(0); frame != null; frame = queue.poll(0)) {
        deliver(frameListener, frame);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    resumeReading();
    if (inactive) {
      listenerEnded(frameListener);
    }
  }

  /**
   * On the event loop, behind the pause that is being answered: a reader that empties the queue
   * between the pause and its effect would otherwise be overtaken by it, and nobody would resume.
   */
  private void resumeReading() {
    if (queue.mayResume()) {
      channel
          .eventLoop()
          .execute(
              () -> {
                if (!queue.paused()) {
                  channel.config().setAutoRead(true);
                }
              });
    }
  }

  /** Who is at the other end; final from the moment the channel was handed out. */
  public PeerIdentity peer() {
    return identity;
  }

  /** Where buffers for {@link #sendFrame} come from. */
  public ByteBufAllocator allocator() {
    return channel.alloc();
  }

  /** Whether the channel still carries frames. */
  public boolean isOpen() {
    return end.get() == null && channel.isActive();
  }

  /**
   * Bytes handed to the socket so far, TLS and framing included; up to a few MiB of them may still
   * wait in this process.
   */
  public long bytesSent() {
    return lifeSigns.bytesSent();
  }

  /** Bytes received so far, TLS and framing included. */
  public long bytesReceived() {
    return lifeSigns.bytesReceived();
  }

  /**
   * Lets what was sent go out (for up to 5 s, if the peer takes it), then closes; drops what was
   * not yet received. Blocks until then, except on an event loop. Again: no effect.
   */
  @Override
  public void close() {
    if (closing.compareAndSet(false, true)) {
      end.compareAndSet(
          null,
          new PeerLostException(
              Kind.CLOSED_HERE, "this side closed the connection to " + peerName));
      queue.close();
      gate.changed();
      channel
          .writeAndFlush(Unpooled.EMPTY_BUFFER)
          .addListener(
              flushed -> {
                if (flushed.isSuccess()) {
                  channel.close();
                } else {
                  closeNow();
                }
              });
      var forced =
          channel
              .eventLoop()
              .schedule(this::closeNow, FLUSH_LIMIT.toMillis(), TimeUnit.MILLISECONDS);
      channel.closeFuture().addListener(closed -> forced.cancel(false));
    }
    if (!channel.eventLoop().inEventLoop()) {
      try {
        channel
            .closeFuture()
            .await(FLUSH_LIMIT.plus(LingeringClose.LIMIT).plusSeconds(1).toMillis());
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Override
  public String toString() {
    return "channel to " + peerName;
  }

  // What follows is called by the handlers of this channel's pipeline, on its event loop.

  String peerName() {
    return peerName;
  }

  void authenticated(PeerIdentity peer) {
    identity = peer;
  }

  void frame(Frame frame) {
    if (frame.type() == FrameType.KEEP_ALIVE || closing.get() || listenerFailure != null) {
      frame.release();
      return;
    }
    answers.answered();
    FrameListener taking = listener;
    if (taking != null) {
      deliver(taking, frame);
      return;
    }
    switch (queue.offer(frame)) {
      case TAKEN, CLOSED -> {}
      case FULL -> {
        channel.config().setAutoRead(false);
        resumeReading(); // a reader may have emptied the queue in between, and found nothing to
        // resume
      }
      case FLOODED ->
          lost(
              new PeerLostException(
                  Kind.PROTOCOL,
                  peerName + " broke the protocol: it sends without waiting for answers"));
    }
  }

  private void deliver(FrameListener taking, Frame frame) {
    if (listenerFailure != null) {
      frame.release();
      return;
    }
    try {
      taking.onFrame(this, frame);
    } catch (Exception e) {
      listenerFailed(e);
    }
    lifeSigns.duringWork();
  }

  private void listenerFailed(Exception e) {
    listenerFailure = e;
    end.compareAndSet(null, PeerFailure.ofListener(peerName, e));
    gate.changed();
    channel.close();
  }

  void writabilityChanged() {
    if (!channel.isWritable()) {
      return;
    }
    gate.changed();
    FrameListener taking = listener;
    if (taking != null && listenerFailure == null && !closing.get()) {
      try {
        taking.onWritable(this);
      } catch (Exception e) {
        listenerFailed(e);
      }
    }
  }

  void sendKeepAlive() {
    if (end.get() == null) {
      send(new KeepAlive(keepAlives++));
    }
  }

  void silent() {
    lost(
        new PeerLostException(
            Kind.SILENT,
            "nothing heard from "
                + peerName
                + " for "
                + PeerFailure.seconds(settings.silenceLimit())));
  }

  void failed(Throwable cause) {
    lost(PeerFailure.of(peerName, cause, settings));
  }

  /** The TLS handler closes the connection itself, after its alert has gone out. */
  void handshakeFailed(Throwable cause) {
    end.compareAndSet(null, PeerFailure.ofHandshake(peerName, cause, settings));
    gate.changed();
  }

  /**
   * Ends the channel for a reason; the first reason stays. What still waits to be sent is dropped.
   */
  void lost(PeerLostException reason) {
    end.compareAndSet(null, reason);
    gate.changed();
    // The pipeline's close, so that a last alert or ABORT on its way is not overtaken by a reset; a
    // silent peer is not waited for.
    if (reason.kind() == Kind.SILENT) {
      closeNow();
    } else {
      channel.close();
    }
  }

  @Nullable PeerLostException ended() {
    return end.get();
  }

  private void writeEnded(@Nullable Throwable cause) {
    if (cause != null && end.get() == null && !PeerFailure.isClosed(cause)) {
      failed(cause);
    }
  }

  /** Without lingering: the first handler's context closes the socket itself. */
  private void closeNow() {
    var edge = channel.pipeline().context(LingeringClose.class);
    if (edge != null) {
      edge.close();
    } else {
      channel.close();
    }
  }

  void inactive() {
    if (inactive) {
      return;
    }
    inactive = true;
    boolean wordless = settings.tls() == null && lifeSigns.bytesReceived() == 0;
    end.compareAndSet(
        null,
        new PeerLostException(
            Kind.CLOSED,
            peerName
                + " closed the connection"
                + (wordless
                    ? " without a word: it may expect TLS, and this side was told to use plaintext"
                    : "")));
    queue.end();
    gate.changed();
    if (listener != null) {
      listenerEnded(listener);
    }
  }

  private void listenerEnded(FrameListener taking) {
    PeerLostException lost = end.get();
    Throwable cause = listenerFailure != null ? listenerFailure : lost;
    boolean wished = lost != null && lost.kind() == Kind.CLOSED_HERE && listenerFailure == null;
    taking.onClosed(this, wished ? null : cause);
  }
}
