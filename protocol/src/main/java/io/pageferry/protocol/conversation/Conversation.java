package io.pageferry.protocol.conversation;

import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.DirtySummary;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.KeepAlive;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.Ownership;
import io.pageferry.protocol.message.OwnershipQuery;
import io.pageferry.protocol.message.Prepared;
import io.pageferry.protocol.message.Progress;
import io.pageferry.protocol.message.Reclaim;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.Started;
import io.pageferry.protocol.message.VersionRange;
import io.pageferry.protocol.message.Welcome;
import java.util.EnumSet;
import java.util.Set;
import java.util.UUID;

/**
 * The rules both sides share: which message may come in which phase, and where it leads. The two
 * sides differ in one thing only, {@link #mayOvertake}: connections do not wait for one another, so
 * at the target a round's first pages may come before its ROUND_BEGIN, and DIGEST before the last
 * ROUND_END. At the source, which sends both, that would be a mistake.
 *
 * <p>Threading: every method may be called by any thread; the object's monitor guards all state.
 * The control channel's driver and the data channels' threads meet here.
 */
abstract sealed class Conversation permits SourceConversation, TargetConversation {
  private static final Set<Phase> OWNED_BY_TARGET =
      EnumSet.of(Phase.COMMITTED, Phase.STARTED, Phase.CLOSED);
  private static final Set<Phase> SENDING =
      EnumSet.of(
          Phase.ACCEPTED, Phase.ROUND, Phase.BETWEEN_ROUNDS, Phase.LAST_ROUND, Phase.COMPARING);

  private final boolean mayOvertake;
  private Phase phase = Phase.NEW;
  private VersionRange versions = VersionRange.CURRENT;
  private UUID asked = Hello.NO_MIGRATION;
  private int channelsWanted;
  private int regions;

  /** The round that began last; 0 before the first. */
  private int round;

  private boolean landed;

  /** For each data channel whether it has ended the round; at the target also the coming one. */
  private boolean[] ended = new boolean[0];

  /** What the ROUND_ENDs of the round say they brought. */
  private long roundPages;

  private long deviceBytes;
  private boolean deviceComplete;

  Conversation(boolean mayOvertake) {
    this.mayOvertake = mayOvertake;
  }

  /** Where the conversation is. */
  public synchronized Phase phase() {
    return phase;
  }

  /** The round that began last on the control channel; 0 before the first. */
  public synchronized int round() {
    return round;
  }

  /** Whether every data channel has ended the present round. */
  public synchronized boolean allChannelsEnded() {
    return allEnded();
  }

  /** A control message on its way from source to target. */
  final synchronized void fromSource(Message message) throws ProtocolException {
    switch (message) {
      case KeepAlive m -> {}
      case Hello m -> {
        require(phase == Phase.NEW && m.role() == ChannelRole.CONTROL, m);
        versions = m.versions();
        phase = Phase.GREETING;
      }
      case Offer m -> {
        require(phase == Phase.READY, m);
        channelsWanted = m.dataChannels();
        regions = m.regions().size();
        phase = Phase.OFFERED;
      }
      case OwnershipQuery m -> ask(m, m.migration());
      case Reclaim m -> ask(m, m.migration());
      case RoundBegin m -> {
        require(phase == Phase.ACCEPTED || phase == Phase.BETWEEN_ROUNDS, m);
        require(m.round() == round + 1, m);
        round = m.round();
        landed = false;
        phase = m.last() ? Phase.LAST_ROUND : Phase.ROUND;
      }
      case DirtySummary m -> {
        // The data channels may end the round before the control channel delivers this.
        require(
            phase == Phase.ROUND || phase == Phase.LAST_ROUND || phase == Phase.BETWEEN_ROUNDS, m);
        require(m.round() == round && m.region() < regions, m);
      }
      case DeviceState m -> {
        require(phase == Phase.LAST_ROUND && !deviceComplete && m.offset() == deviceBytes, m);
        deviceBytes += m.bytes().length;
        deviceComplete = m.last();
      }
      case DigestValue m -> {
        require(phase == Phase.LAST_ROUND && deviceComplete, m);
        require(mayOvertake || allEnded(), m);
        phase = Phase.COMPARING;
      }
      case Commit m -> {
        require(phase == Phase.PREPARED, m);
        phase = Phase.COMMITTED;
      }
      case Goodbye m -> {
        require(phase == Phase.READY || phase == Phase.STARTED, m);
        phase = Phase.CLOSED;
      }
      case Abort m -> {
        // After COMMIT the guest is not the source's any more, so it has nothing to give up.
        require(!OWNED_BY_TARGET.contains(phase), m);
        phase = Phase.ABORTED;
      }
      case Welcome m -> throw illegal(m);
      case Accepted m -> throw illegal(m);
      case RoundEnd m -> throw illegal(m);
      case RoundLanded m -> throw illegal(m);
      case Prepared m -> throw illegal(m);
      case Started m -> throw illegal(m);
      case Ownership m -> throw illegal(m);
      case Progress m -> throw illegal(m);
    }
  }

  /** A control message on its way from target to source. */
  final synchronized void fromTarget(Message message) throws ProtocolException {
    switch (message) {
      case KeepAlive m -> {}
      case Welcome m -> {
        require(phase == Phase.GREETING, m);
        require(m.version() >= versions.min() && m.version() <= versions.max(), m);
        phase = Phase.READY;
      }
      case Ownership m -> {
        require(phase == Phase.ASKING && m.migration().equals(asked), m);
        phase = Phase.READY;
      }
      case Accepted m -> {
        require(phase == Phase.OFFERED && m.joinTokens().size() <= channelsWanted, m);
        ended = new boolean[m.joinTokens().size()];
        phase = Phase.ACCEPTED;
      }
      case Progress m -> require(SENDING.contains(phase), m);
      case RoundLanded m -> roundLanded(m);
      case Prepared m -> {
        require(phase == Phase.COMPARING && landed, m);
        phase = m.digestMatches() ? Phase.PREPARED : Phase.MISMATCHED;
      }
      case Started m -> {
        require(phase == Phase.COMMITTED, m);
        phase = Phase.STARTED;
      }
      case Abort m -> {
        // In COMMITTED too: a target that took the guest over may fail to start it.
        require(phase != Phase.STARTED && phase != Phase.CLOSED, m);
        phase = Phase.ABORTED;
      }
      case Hello m -> throw illegal(m);
      case Offer m -> throw illegal(m);
      case RoundBegin m -> throw illegal(m);
      case RoundEnd m -> throw illegal(m);
      case DirtySummary m -> throw illegal(m);
      case DeviceState m -> throw illegal(m);
      case DigestValue m -> throw illegal(m);
      case Commit m -> throw illegal(m);
      case OwnershipQuery m -> throw illegal(m);
      case Reclaim m -> throw illegal(m);
      case Goodbye m -> throw illegal(m);
    }
  }

  /** A PAGES frame on a data channel. */
  final synchronized void pages(int channel, int ofRound) throws ProtocolException {
    requireInRound("PAGES", channel, ofRound);
  }

  /** A ROUND_END on a data channel. */
  final synchronized void roundEnd(int channel, RoundEnd end) throws ProtocolException {
    requireInRound("ROUND_END", channel, end.round());
    if (end.pages() > Long.MAX_VALUE - roundPages) {
      throw ProtocolException.violation("round " + end.round() + " has too many pages");
    }
    ended[channel] = true;
    roundPages += end.pages();
  }

  private void roundLanded(RoundLanded m) throws ProtocolException {
    require(phase == Phase.ROUND || phase == Phase.LAST_ROUND || phase == Phase.COMPARING, m);
    require(m.round() == round && allEnded() && !landed, m);
    require(m.pages() == roundPages, m);
    landed = true;
    if (phase == Phase.ROUND) {
      ended = new boolean[ended.length];
      roundPages = 0;
      phase = Phase.BETWEEN_ROUNDS;
    }
  }

  private void ask(Message message, UUID migration) throws ProtocolException {
    require(phase == Phase.READY, message);
    asked = migration;
    phase = Phase.ASKING;
  }

  private void requireInRound(String what, int channel, int ofRound) throws ProtocolException {
    boolean present =
        ofRound == round
            && (phase == Phase.ROUND
                || phase == Phase.LAST_ROUND
                || (mayOvertake && phase == Phase.COMPARING));
    boolean coming =
        mayOvertake
            && ofRound == round + 1
            && (phase == Phase.ACCEPTED || phase == Phase.BETWEEN_ROUNDS);
    boolean open = channel >= 0 && channel < ended.length && !ended[channel];
    if (!open || !(present || coming)) {
      throw ProtocolException.violation(
          "%s of round %d on data channel %d came in phase %s of round %d"
              .formatted(what, ofRound, channel, phase, round));
    }
  }

  private boolean allEnded() {
    for (boolean channelEnded : ended) {
      if (!channelEnded) {
        return false;
      }
    }
    return ended.length > 0;
  }

  private void require(boolean legal, Message message) throws ProtocolException {
    if (!legal) {
      throw illegal(message);
    }
  }

  private ProtocolException illegal(Message message) {
    return ProtocolException.violation(
        "%s is not allowed in phase %s of round %d".formatted(message, phase, round));
  }
}
