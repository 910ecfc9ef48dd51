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
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.Progress;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.VersionRange;
import io.pageferry.protocol.message.Welcome;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeoutException;

/**
 * The channels to the target agent and the conversation on them: every message that goes or comes
 * is checked against the protocol's state machine.
 *
 * <p>Threading: the driver thread only, except {@link #data()}, whose channels belong to one sender
 * each, and {@link #close()}.
 */
final class TargetLink implements AutoCloseable {
  /** An answer that needs nothing but a round trip and a little disk. */
  static final Duration ANSWER = Duration.ofSeconds(10);

  /**
   * The target reserves memory and starts a guest before it accepts, which takes minutes for a
   * large one; a target that died meanwhile is noticed by its silence.
   */
  static final Duration PREFLIGHT = Duration.ofMinutes(15);

  /** How long the reason for a broken data channel may take to arrive on the control channel. */
  private static final Duration EXPLANATION = Duration.ofSeconds(1);

  private final PeerConnector connector;
  private final InetSocketAddress target;
  private final PeerChannel control;
  private final SourceConversation conversation = new SourceConversation();
  private final List<PeerChannel> data = new ArrayList<>();
  private Limits limits = Limits.CURRENT;
  private long roundTripNanos;

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
      link.limits = link.await(Welcome.class, ANSWER).limits().intersect(Limits.CURRENT);
      link.roundTripNanos = System.nanoTime() - asked;
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

  /** Offers the guest; opens as many data channels as the target grants. */
  Accepted offer(Offer offer, String agent) throws IOException, InterruptedException {
    send(offer);
    Accepted accepted = await(Accepted.class, PREFLIGHT);
    List<byte[]> tokens = accepted.joinTokens();
    for (int index = 0; index < tokens.size(); index++) {
      PeerChannel channel = connector.connect(target);
      data.add(channel);
      channel.send(hello(ChannelRole.DATA, offer.migration(), tokens.get(index), index, agent));
      Message answer = receive(channel, ANSWER);
      if (!(answer instanceof Welcome)) {
        throw new ProtocolException(
            AbortReason.PROTOCOL_VIOLATION, "a data channel was answered with " + answer.type());
      }
    }
    return accepted;
  }

  /** One for each data channel that the target granted. */
  List<PeerChannel> data() {
    return data;
  }

  /** Ends a round on one data channel; its pages have been handed to the channel before. */
  void endRound(int index, RoundEnd end) throws ProtocolException {
    conversation.roundEndSent(index, end);
    data.get(index).send(end);
  }

  /** What both sides are ready to receive. */
  Limits limits() {
    return limits;
  }

  /** From a question to its answer, as the greeting took. */
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
    while (true) {
      Message message = receive(control, limit);
      conversation.received(message);
      if (type.isInstance(message)) {
        return type.cast(message);
      }
      if (!(message instanceof Progress)) {
        throw new ProtocolException(
            AbortReason.PROTOCOL_VIOLATION,
            "%s came where %s was due".formatted(message.type(), type.getSimpleName()));
      }
    }
  }

  private static Message receive(PeerChannel channel, Duration limit)
      throws IOException, InterruptedException {
    try {
      return channel.receive(limit);
    } catch (TimeoutException e) {
      throw new PeerLostException(
          PeerLostException.Kind.SILENT,
          "%s did not answer within %d s"
              .formatted(channel.peer().hostAndPort(), limit.toSeconds()),
          e);
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
    } catch (IOException | TimeoutException e) {
      return loss;
    }
  }

  /** Tells the target that the migration is off; does nothing where it cannot be told any more. */
  void abort(AbortReason reason, String sentence) {
    if (control.isOpen()) {
      control.send(new Abort(reason, sentence));
    }
  }

  @Override
  public void close() {
    // Closing waits for the peer, for seconds where it takes nothing, and the guest may stand still
    // meanwhile: not for one channel after the other.
    data.forEach(channel -> Thread.ofVirtual().start(channel::close));
    control.close();
  }
}
