package io.pageferry.source;

import io.pageferry.protocol.channel.PeerAbortedException;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.channel.PeerConnector;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.channel.PeerLostException;
import io.pageferry.protocol.conversation.SourceConversation;
import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.Missing;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.message.Progress;
import io.pageferry.protocol.message.Recalled;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.message.Resume;
import io.pageferry.protocol.message.Resumed;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.VersionRange;
import io.pageferry.protocol.message.Welcome;
import io.pageferry.protocol.page.PageBatch;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/**
 * The channels to the target agent and the conversation on them: every message that goes or comes
 * is checked against the protocol's state machine.
 *
 * <p>Threading: the driver thread only, except {@link #data()}, whose channels belong to one sender
 * each, {@link #refer}, {@link #found}, {@link #requested} and {@link #close()}.
 */
final class TargetLink implements AutoCloseable {
  /** An answer that needs nothing but a round trip and a little disk. */
  static final Duration ANSWER = Duration.ofSeconds(10);

  /** How long a target may take to begin, and to start its guest, whatever the guest's memory. */
  private static final Duration PREFLIGHT = Duration.ofMinutes(5);

  /** How much memory a target reserves in a second at the least. */
  private static final long RESERVED_BYTES = 128L << 20;

  /** Landing is bounded by the keep-alive: a target that lands slowly still says so. */
  static final Duration LANDING = Duration.ofMinutes(10);

  /** How long the reason for a broken data channel may take to arrive on the control channel. */
  private static final Duration EXPLANATION = Duration.ofSeconds(1);

  /** How often the other channels are looked after while the control channel is silent. */
  private static final Duration LOOK = Duration.ofMillis(50);

  private final PeerConnector connector;
  private final InetSocketAddress target;
  private final PeerChannel control;
  private final SourceConversation conversation = new SourceConversation();
  private volatile PageChannels channels = PageChannels.NONE;
  private Limits limits = Limits.CURRENT;
  private Capabilities capabilities = new Capabilities(0);
  private long roundTripNanos = Long.MAX_VALUE;

  private TargetLink(PeerConnector connector, InetSocketAddress target, PeerChannel control) {
    this.connector = connector;
    this.target = target;
    this.control = control;
  }

  /** Opens the control channel and agrees on a version. */
  static TargetLink connect(PeerConnector connector, InetSocketAddress target, String agent)
      throws IOException, InterruptedException {
    TargetLink link = new TargetLink(connector, target, connector.connect(target));
    try {
      long asked = System.nanoTime();
      link.send(hello(ChannelRole.CONTROL, Hello.NO_MIGRATION, new byte[0], 0, agent));
      Welcome welcome = link.await(Welcome.class, ANSWER);
      link.limits = welcome.limits().intersect(Limits.CURRENT);
      link.capabilities = welcome.capabilities().intersect(Capabilities.CURRENT);
      link.answeredAfter(System.nanoTime() - asked);
      return link;
    } catch (IOException | InterruptedException | RuntimeException e) {
      link.close();
      throw e;
    }
  }

  private static Hello hello(
      ChannelRole role, UUID migration, byte[] token, int index, String agent) {
    return new Hello(
        VersionRange.CURRENT,
        role,
        Capabilities.CURRENT,
        Limits.CURRENT,
        agent,
        migration,
        token,
        index);
  }

  /** Offers the guest; opens as many data channels as the target grants, and the fault channel. */
  Accepted offer(Offer offer, String agent) throws IOException, InterruptedException {
    send(offer);
    Accepted accepted = await(Accepted.class, preflight(offer.regions()));
    try {
      join(offer.migration(), accepted.joinTokens(), accepted.faultToken(), agent);
    } catch (IOException e) {
      throw explain(e);
    }
    return accepted;
  }

  /**
   * The target reserves memory and starts a guest before it accepts, which takes minutes for a
   * large one. One that died meanwhile is noticed by its silence; this is for one that lives and
   * gets nowhere.
   */
  static Duration preflight(List<RegionOffer> memory) {
    long bytes = memory.stream().mapToLong(RegionOffer::bytes).sum();
    return PREFLIGHT.plusSeconds(bytes / RESERVED_BYTES);
  }

  /**
   * Takes up an interrupted post-copy again.
   *
   * @param layout the guest's memory as it was offered
   * @param missing receives the pages that the target still waits for
   * @return the number of the round in which they are sent
   */
  int resume(UUID migration, List<RegionOffer> layout, UnsentPages missing, String agent)
      throws IOException, InterruptedException {
    conversation.layout(layout);
    send(new Resume(migration));
    Resumed resumed = await(Resumed.class, ANSWER);
    Missing some;
    do {
      some = await(Missing.class, ANSWER);
      for (PageSpan span : some.spans()) {
        missing.mark(some.region(), span.firstPage(), span.count());
      }
    } while (!some.last());
    // Not before: the first request must not overtake what it is judged by.
    join(migration, resumed.joinTokens(), resumed.faultToken(), agent);
    return resumed.round();
  }

  /**
   * Asks to take up an interrupted post-copy, to hear whether it can be; this link is then of no
   * further use.
   *
   * @throws PeerAbortedException if it cannot; says why
   */
  void tryToResume(UUID migration) throws IOException, InterruptedException {
    // What is missing there is not listened to, so that nothing is judged by this.
    conversation.layout(List.of(new RegionOffer("any", PageBatch.PAGE_BYTES)));
    send(new Resume(migration));
    await(Resumed.class, ANSWER);
  }

  private void join(UUID migration, List<byte[]> tokens, byte @Nullable [] faultToken, String agent)
      throws IOException, InterruptedException {
    channels =
        PageChannels.open(
            () -> connector.connect(target),
            tokens.size(),
            faultToken == null ? null : () -> connector.connectUrgent(target));
    for (int index = 0; index < tokens.size(); index++) {
      join(data().get(index), hello(ChannelRole.DATA, migration, tokens.get(index), index, agent));
    }
    if (faultToken != null) {
      join(fault(), hello(ChannelRole.FAULT, migration, faultToken, 0, agent));
    }
  }

  private void join(PeerChannel channel, Hello hello) throws IOException, InterruptedException {
    long asked = System.nanoTime();
    channel.send(hello);
    Message answer = receive(channel, ANSWER, () -> {});
    answeredAfter(System.nanoTime() - asked);
    if (!(answer instanceof Welcome)) {
      throw broken("a %s channel was answered with %s".formatted(hello.role(), answer.type()));
    }
  }

  /** One for each data channel that the target granted. */
  List<PeerChannel> data() {
    return channels.data();
  }

  /** Where the target asks for pages that its guest waits for; there if post-copy was granted. */
  PeerChannel fault() {
    return channels.fault();
  }

  /** The target asks for pages; any thread. */
  void requested(PageRequest request) throws ProtocolException {
    conversation.pageRequestReceived(request);
  }

  /** Ends the post-copy round on the fault channel, as {@link #endRound} does on the others. */
  void endFaultRound(RoundEnd end) throws ProtocolException {
    conversation.roundEndSent(conversation.faultChannel(), end);
    fault().send(end);
  }

  /**
   * Looks after the connections while nobody sends or receives.
   *
   * @throws IOException if one of them is lost
   */
  void requireOpen() throws IOException, InterruptedException {
    requireTarget();
    for (PeerChannel channel : data()) {
      if (!channel.isOpen()) {
        throw explain(lossOf(channel));
      }
    }
  }

  /**
   * Looks whether the target is there, as far as is known: it is given no guest if it is not.
   *
   * @throws IOException if the control connection is lost
   */
  void requireTarget() throws IOException, InterruptedException {
    if (!control.isOpen()) {
      throw explain(
          new PeerLostException(
              PeerLostException.Kind.CLOSED, control.peer().hostAndPort() + " is gone"));
    }
  }

  private static IOException lossOf(PeerChannel channel) throws InterruptedException {
    try {
      Message stray = channel.receive(Duration.ofMillis(1));
      return new IOException("a data channel was lost after " + stray.type());
    } catch (IOException e) {
      return e;
    } catch (TimeoutException e) {
      return new IOException("a data channel to %s was lost".formatted(channel.peer()), e);
    }
  }

  /** Ends a round on one data channel; its pages have been handed to the channel before. */
  void endRound(int index, RoundEnd end) throws ProtocolException {
    conversation.roundEndSent(index, end);
    data().get(index).send(end);
  }

  /**
   * A batch that refers to so many pages is about to go out on one data channel; by its sender. No
   * more than {@link SourceConversation#MAX_UNANSWERED_REFERENCES} may be without an answer.
   */
  void refer(int index, int round, int pages) throws ProtocolException {
    conversation.referencesSent(index, round, pages);
  }

  /** Whether the oldest of these batches has its answer, or what came instead; by the sender. */
  boolean hasFound(int index) {
    return data().get(index).hasFrame();
  }

  /** The answer to the oldest of these batches; by the sender, which waits for it. */
  Found found(int index) throws IOException, InterruptedException {
    PeerChannel channel = data().get(index);
    Message message;
    try {
      message = channel.receive(LANDING);
    } catch (TimeoutException e) {
      throw new PeerLostException(
          PeerLostException.Kind.SILENT,
          "%s did not say within %d min what it has"
              .formatted(channel.peer().hostAndPort(), LANDING.toMinutes()),
          e);
    }
    if (!(message instanceof Found found)) {
      throw new ProtocolException(
          AbortReason.PROTOCOL_VIOLATION, message.type() + " came on a data channel");
    }
    conversation.foundReceived(index, found);
    return found;
  }

  /** Whether both sides can do this. */
  boolean has(long capability) {
    return capabilities.has(capability);
  }

  /** What both sides are ready to receive. */
  Limits limits() {
    return limits;
  }

  /** The first greeting runs through code that never ran before; a later one is the link's. */
  private void answeredAfter(long nanos) {
    roundTripNanos = Math.min(roundTripNanos, nanos);
  }

  /** From a question to its answer, as the quickest greeting of a channel took. */
  long roundTripNanos() {
    return roundTripNanos;
  }

  PeerIdentity peer() {
    return control.peer();
  }

  void send(Message message) throws ProtocolException {
    conversation.sent(message);
    control.send(message);
  }

  /**
   * The next message on the control channel, which must be of this type.
   *
   * @throws PeerAbortedException if the target has given up; says why
   */
  <T extends Message> T await(Class<T> type, Duration limit)
      throws IOException, InterruptedException {
    return await(type, limit, () -> {});
  }

  /** Looks after what an answer depends on besides the control channel. */
  interface Watch {
    /** Called while nothing comes; throws if the answer is waited for in vain. */
    void look() throws IOException, InterruptedException;
  }

  /** As the other; ends also when the watch does. */
  <T extends Message> T await(Class<T> type, Duration limit, Watch watch)
      throws IOException, InterruptedException {
    while (true) {
      Message message = receive(control, limit, watch);
      take(message);
      if (type.isInstance(message)) {
        return type.cast(message);
      }
      // Of what the target had there may be a rest on its way when nobody looks for it any more.
      if (!(message instanceof Progress || message instanceof Recalled)) {
        throw broken("%s came where %s was due".formatted(message.type(), type.getSimpleName()));
      }
    }
  }

  /**
   * What the target says next of what it had, while the first round is sent; null if nothing has
   * come. Does not wait.
   */
  @Nullable Recalled recalled() throws IOException, InterruptedException {
    while (true) {
      Message message;
      try {
        message = control.receive(Duration.ZERO);
      } catch (TimeoutException e) {
        return null;
      }
      take(message);
      if (message instanceof Recalled said) {
        return said;
      }
      if (!(message instanceof Progress)) {
        throw broken(message.type() + " came in the first round");
      }
    }
  }

  private void take(Message message) throws ProtocolException {
    try {
      conversation.received(message);
    } catch (ProtocolException e) {
      throw broken(String.valueOf(e.getMessage()));
    }
  }

  /** Says whose mistake it was. */
  private ProtocolException broken(String how) {
    return ProtocolException.violation(
        "%s broke the protocol: %s".formatted(control.peer().hostAndPort(), how));
  }

  private static Message receive(PeerChannel channel, Duration limit, Watch watch)
      throws IOException, InterruptedException {
    long end = System.nanoTime() + limit.toNanos();
    while (true) {
      long left = end - System.nanoTime();
      try {
        return channel.receive(Duration.ofNanos(Math.clamp(left, 0, LOOK.toNanos())));
      } catch (TimeoutException e) {
        if (left <= 0) {
          throw new PeerLostException(
              PeerLostException.Kind.SILENT,
              "%s did not answer within %d s"
                  .formatted(channel.peer().hostAndPort(), limit.toSeconds()),
              e);
        }
        watch.look();
      }
    }
  }

  /**
   * Why a channel broke: a target that gives up says so on the control channel and then closes the
   * others, so the loss of a data channel may be seen before its reason.
   */
  IOException explain(IOException loss) throws InterruptedException {
    try {
      while (true) {
        control.receive(EXPLANATION);
      }
    } catch (PeerAbortedException e) {
      return e;
    } catch (PeerLostException e) {
      return control.isOpen() || loss instanceof PeerLostException ? loss : e;
    } catch (IOException | TimeoutException e) {
      return loss;
    }
  }

  /**
   * Tells the target that the migration is off.
   *
   * @return whether it could be told
   */
  boolean abort(AbortReason reason, String sentence) {
    boolean open = control.isOpen();
    if (open) {
      control.send(new Abort(reason, sentence));
    }
    return open;
  }

  @Override
  public void close() {
    channels.close();
    control.close();
  }
}
