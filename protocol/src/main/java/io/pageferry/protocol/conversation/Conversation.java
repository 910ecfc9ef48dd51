package io.pageferry.protocol.conversation;

import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.DirtySummary;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.KeepAlive;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.Missing;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.Ownership;
import io.pageferry.protocol.message.OwnershipQuery;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.message.PostcopyWish;
import io.pageferry.protocol.message.Prepared;
import io.pageferry.protocol.message.Progress;
import io.pageferry.protocol.message.Recall;
import io.pageferry.protocol.message.Recalled;
import io.pageferry.protocol.message.Reclaim;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.message.Resume;
import io.pageferry.protocol.message.Resumed;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.message.Started;
import io.pageferry.protocol.message.Switch;
import io.pageferry.protocol.message.VersionRange;
import io.pageferry.protocol.message.Welcome;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;

/**
 * The rules both sides share: which message may come in which phase, and where it leads. The two
 * sides differ in one thing only, {@link #mayOvertake}: connections do not wait for one another, so
 * at the target a round's first pages may come before its ROUND_BEGIN, and DIGEST before the last
 * ROUND_END. At the source, which sends both, that would be a mistake.
 *
 * <p>Threading: every method may be called by any thread; the object's monitor guards all state.
 * The control channel's driver and the threads of data and fault channels meet here.
 */
abstract sealed class Conversation permits SourceConversation, TargetConversation {
  private static final Set<Phase> OWNED_BY_TARGET =
      EnumSet.of(Phase.COMMITTED, Phase.RESUMING, Phase.FETCHING, Phase.STARTED, Phase.CLOSED);
  private static final Set<Phase> GUEST_RUNS_AT_TARGET =
      EnumSet.of(Phase.FETCHING, Phase.STARTED, Phase.CLOSED);
  private static final Set<Phase> SENDING =
      EnumSet.of(
          Phase.ACCEPTED,
          Phase.ROUND,
          Phase.BETWEEN_ROUNDS,
          Phase.LAST_ROUND,
          Phase.COMPARING,
          Phase.SWITCHING,
          Phase.LOADING,
          Phase.FETCHING);

  /** Where the guest may touch memory that the target does not have. */
  private static final Set<Phase> FAULTING =
      EnumSet.of(Phase.LOADING, Phase.PREPARED, Phase.COMMITTED, Phase.FETCHING);

  /** Batches of references that may wait for their answers on one channel. */
  static final int MAX_UNANSWERED = 16;

  private final boolean mayOvertake;
  private Phase phase = Phase.NEW;
  private VersionRange versions = VersionRange.CURRENT;
  private UUID asked = Hello.NO_MIGRATION;
  private int channelsWanted;
  private PostcopyWish wish = PostcopyWish.NO;

  /** The length of each region, in pages; empty where it is not known. */
  private long[] regionPages = new long[0];

  private int dataChannels;
  private boolean faultChannelGranted;

  /** The round that began last; 0 before the first. */
  private int round;

  private boolean landed;

  /**
   * For each channel whether it has ended the round; at the target also the coming one. Data
   * channels, and behind them, in the post-copy round, the fault channel.
   */
  private boolean[] ended = new boolean[0];

  /** At the target, whether anything of the coming round has overtaken its ROUND_BEGIN. */
  private boolean overtaken;

  /** What the ROUND_ENDs of the round say they brought. */
  private long roundPages;

  private long deviceBytes;
  private boolean deviceComplete;

  /** What the present series of MISSING has named so far. */
  private long missingPages;

  private boolean missingComplete;

  /** Whether the round is the post-copy round. */
  private boolean postcopyRound;

  private boolean resumed;

  /** What both sides can do, as far as the greeting has come. */
  private Capabilities capabilities = new Capabilities(0);

  private boolean recallAsked;
  private boolean recallComplete;

  /** Behind the last page that the series of RECALLED has spoken of. */
  private int recalledRegion;

  private long recalledEnd;
  private boolean digestCame;

  /** For each data channel how many pages each batch had that is still to be answered. */
  private final Map<Integer, Deque<Integer>> unanswered = new HashMap<>();

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

  /**
   * The number by which {@code pages} and {@code roundEnd} know the fault channel: behind the data
   * channels' indices.
   */
  public synchronized int faultChannel() {
    return dataChannels;
  }

  /** Whether every data channel, and in post-copy the fault channel, has ended the round. */
  public synchronized boolean allChannelsEnded() {
    return allEnded();
  }

  /** The guest's memory, from the offer or, where there is none, from who knows it. */
  final synchronized void regions(List<RegionOffer> offered) {
    regionPages = offered.stream().mapToLong(RegionOffer::pages).toArray();
  }

  /** A control message on its way from source to target. */
  final synchronized void fromSource(Message message) throws ProtocolException {
    switch (message) {
      case KeepAlive m -> {}
      case Hello m -> {
        require(phase == Phase.NEW && m.role() == ChannelRole.CONTROL, m);
        versions = m.versions();
        capabilities = m.capabilities();
        channelsWanted = m.limits().maxDataChannels();
        phase = Phase.GREETING;
      }
      case Offer m -> {
        require(phase == Phase.READY, m);
        channelsWanted = m.dataChannels();
        wish = m.postcopy();
        regions(m.regions());
        phase = Phase.OFFERED;
      }
      case OwnershipQuery m -> ask(m, m.migration());
      case Reclaim m -> ask(m, m.migration());
      case RoundBegin m -> {
        require(phase == Phase.ACCEPTED || phase == Phase.BETWEEN_ROUNDS, m);
        require(m.round() == round + 1, m);
        round = m.round();
        landed = false;
        overtaken = false;
        phase = m.last() ? Phase.LAST_ROUND : Phase.ROUND;
      }
      case DirtySummary m -> {
        // The data channels may end the round before the control channel delivers this.
        require(
            phase == Phase.ROUND || phase == Phase.LAST_ROUND || phase == Phase.BETWEEN_ROUNDS, m);
        require(m.round() == round && m.region() < regionPages.length, m);
      }
      case DeviceState m -> {
        require(phase == Phase.LAST_ROUND || (phase == Phase.SWITCHING && missingComplete), m);
        require(!deviceComplete && m.offset() == deviceBytes, m);
        deviceBytes += m.bytes().length;
        deviceComplete = m.last();
      }
      case Missing m -> {
        boolean first = phase == Phase.ACCEPTED || phase == Phase.BETWEEN_ROUNDS;
        require(faultChannelGranted && !overtaken, m);
        // What was asked for is answered until the first round has landed; so there is to be one.
        require(!recallAsked || round > 0, m);
        require(first || (phase == Phase.SWITCHING && !missingComplete), m);
        missing(m);
        phase = Phase.SWITCHING;
      }
      case Switch m -> {
        require(phase == Phase.SWITCHING && deviceComplete, m);
        require(m.round() == round + 1 && m.missingPages() == missingPages, m);
        beginPostcopyRound(m.round());
        phase = Phase.LOADING;
      }
      case DigestValue m when phase == Phase.FETCHING -> {
        require(landed && !digestCame && !m.full(), m);
        digestCame = true;
      }
      case DigestValue m -> {
        require(phase == Phase.LAST_ROUND && deviceComplete, m);
        require(mayOvertake || allEnded(), m);
        phase = Phase.COMPARING;
      }
      case Resume m -> {
        require(phase == Phase.READY, m);
        require(mayOvertake || regionPages.length > 0, m); // the source knows what it resumes
        asked = m.migration();
        phase = Phase.RESUMING;
      }
      case Recall m -> {
        // The data channels may have ended the round before the question came.
        boolean late = mayOvertake && phase == Phase.BETWEEN_ROUNDS && round == 1;
        require(phase == Phase.ACCEPTED || (phase == Phase.ROUND && round == 1) || late, m);
        require(!recallAsked, m);
        require(capabilities.has(Capabilities.KNOWN), m);
        recallAsked = true;
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
      case PageRequest m -> throw illegal(m);
      case Settled m -> throw illegal(m);
      case Resumed m -> throw illegal(m);
      case Recalled m -> throw illegal(m);
      case Found m -> throw illegal(m);
    }
  }

  /** A control message on its way from target to source. */
  final synchronized void fromTarget(Message message) throws ProtocolException {
    switch (message) {
      case KeepAlive m -> {}
      case Welcome m -> {
        require(phase == Phase.GREETING, m);
        require(m.version() >= versions.min() && m.version() <= versions.max(), m);
        capabilities = capabilities.intersect(m.capabilities());
        phase = Phase.READY;
      }
      case Ownership m -> {
        require(phase == Phase.ASKING && m.migration().equals(asked), m);
        phase = Phase.READY;
      }
      case Accepted m -> {
        require(phase == Phase.OFFERED && m.joinTokens().size() <= channelsWanted, m);
        boolean granted = m.faultToken() != null;
        require(wish == PostcopyWish.IF_POSSIBLE || granted == (wish == PostcopyWish.REQUIRED), m);
        dataChannels = m.joinTokens().size();
        faultChannelGranted = granted;
        ended = new boolean[dataChannels];
        phase = Phase.ACCEPTED;
      }
      case Progress m -> require(SENDING.contains(phase), m);
      case RoundLanded m -> roundLanded(m);
      case Prepared m when phase == Phase.LOADING -> {
        require(m.digestMatches(), m); // there is nothing to compare yet
        phase = Phase.PREPARED;
      }
      case Prepared m -> {
        require(phase == Phase.COMPARING && landed, m);
        phase = m.digestMatches() ? Phase.PREPARED : Phase.MISMATCHED;
      }
      case Started m -> {
        require(phase == Phase.COMMITTED, m);
        phase = postcopyRound ? Phase.FETCHING : Phase.STARTED;
      }
      case Settled m -> {
        require(phase == Phase.FETCHING && digestCame, m);
        phase = Phase.STARTED;
      }
      case Resumed m -> {
        require(phase == Phase.RESUMING && !resumed && m.migration().equals(asked), m);
        require(m.joinTokens().size() <= channelsWanted, m);
        dataChannels = m.joinTokens().size();
        beginPostcopyRound(m.round());
        resumed = true;
      }
      case Missing m -> {
        require(phase == Phase.RESUMING && resumed, m);
        missing(m);
        phase = m.last() ? Phase.FETCHING : Phase.RESUMING;
      }
      case Recalled m -> recalled(m);
      case Abort m -> {
        // In COMMITTED too: a target that took the guest over may fail to start it.
        require(!GUEST_RUNS_AT_TARGET.contains(phase), m);
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
      case Switch m -> throw illegal(m);
      case PageRequest m -> throw illegal(m);
      case Resume m -> throw illegal(m);
      case Recall m -> throw illegal(m);
      case Found m -> throw illegal(m);
    }
  }

  /** A PAGES frame on a data channel or the fault channel. */
  final synchronized void pages(int channel, int ofRound) throws ProtocolException {
    // Before the guest runs at the target only what it asks for may compete for the wire.
    boolean answering = postcopyRound && channel == dataChannels && FAULTING.contains(phase);
    requireInRound("PAGES", channel, ofRound, answering);
  }

  /** A ROUND_END on a data channel or the fault channel. */
  final synchronized void roundEnd(int channel, RoundEnd end) throws ProtocolException {
    if (unanswered.containsKey(channel)) {
      throw ProtocolException.violation(
          "round %d ends on %s before all its references are answered"
              .formatted(end.round(), name(channel)));
    }
    requireInRound("ROUND_END", channel, end.round(), false);
    if (end.pages() > Long.MAX_VALUE - roundPages) {
      throw ProtocolException.violation("round " + end.round() + " has too many pages");
    }
    ended[channel] = true;
    roundPages += end.pages();
  }

  /** A PAGES frame of references, to so many pages, on a data channel. */
  final synchronized void references(int channel, int ofRound, int count) throws ProtocolException {
    Deque<Integer> before = unanswered.get(channel);
    if (postcopyRound
        || !capabilities.has(Capabilities.REFERENCE)
        || (before != null && before.size() == MAX_UNANSWERED)) {
      throw ProtocolException.violation(
          "references of round %d on %s are not allowed in phase %s, with %d batches unanswered"
              .formatted(ofRound, name(channel), phase, before == null ? 0 : before.size()));
    }
    requireInRound("a reference", channel, ofRound, false);
    unanswered.computeIfAbsent(channel, key -> new ArrayDeque<>()).add(count);
  }

  /** The answer to the oldest of them that has none. */
  final synchronized void found(int channel, Found found) throws ProtocolException {
    Deque<Integer> asked = unanswered.get(channel);
    if (asked == null || asked.getFirst() != found.pages()) {
      throw ProtocolException.violation(
          "%s on %s answers nothing that was asked".formatted(found, name(channel)));
    }
    requireInRound("FOUND", channel, found.round(), false);
    asked.removeFirst();
    if (asked.isEmpty()) {
      unanswered.remove(channel);
    }
  }

  /** A PAGE_REQUEST on the fault channel. */
  final synchronized void pageRequest(PageRequest request) throws ProtocolException {
    // At the source it may come behind SETTLED and GOODBYE, which use another connection.
    boolean late = !mayOvertake && (phase == Phase.STARTED || phase == Phase.CLOSED);
    require(postcopyRound && (FAULTING.contains(phase) || late), request);
    if (regionPages.length > 0) {
      require(request.region() < regionPages.length, request);
      for (long page : request.pages()) {
        require(page < regionPages[request.region()], request);
      }
    }
  }

  private void missing(Missing m) throws ProtocolException {
    if (regionPages.length > 0) {
      require(m.region() < regionPages.length, m);
      require(m.endPage() <= regionPages[m.region()], m);
      long pages = missingPages + m.pages();
      require(pages <= Arrays.stream(regionPages).sum(), m);
      missingPages = pages;
    }
    missingComplete = m.last();
  }

  /** Only until the first round has landed: later ones have no use for it. */
  private void recalled(Recalled m) throws ProtocolException {
    boolean inTime =
        phase == Phase.ACCEPTED
            || (round == 1
                && !landed
                && (phase == Phase.ROUND || phase == Phase.LAST_ROUND || phase == Phase.COMPARING));
    require(inTime && recallAsked && !recallComplete, m);
    boolean ascends =
        m.region() > recalledRegion
            || (m.region() == recalledRegion && m.firstPage() >= recalledEnd);
    require(m.pages() == 0 || ascends, m);
    if (regionPages.length > 0 && m.pages() > 0) {
      require(m.region() < regionPages.length && m.endPage() <= regionPages[m.region()], m);
    }
    if (m.pages() > 0) {
      recalledRegion = m.region();
      recalledEnd = m.endPage();
    }
    recallComplete = m.last();
  }

  private void beginPostcopyRound(int begun) {
    round = begun;
    postcopyRound = true;
    landed = false;
    ended = new boolean[dataChannels + 1];
    roundPages = 0;
  }

  private void roundLanded(RoundLanded m) throws ProtocolException {
    require(
        phase == Phase.ROUND
            || phase == Phase.LAST_ROUND
            || phase == Phase.COMPARING
            || phase == Phase.FETCHING,
        m);
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

  private void requireInRound(String what, int channel, int ofRound, boolean answering)
      throws ProtocolException {
    boolean present =
        ofRound == round
            && (answering
                || phase == Phase.ROUND
                || phase == Phase.LAST_ROUND
                || phase == Phase.FETCHING
                || (mayOvertake && phase == Phase.COMPARING));
    boolean coming =
        mayOvertake
            && ofRound == round + 1
            && (phase == Phase.ACCEPTED || phase == Phase.BETWEEN_ROUNDS);
    boolean open = channel >= 0 && channel < ended.length && !ended[channel];
    if (!open || !(present || coming)) {
      throw ProtocolException.violation(
          "%s of round %d on %s came in phase %s of round %d"
              .formatted(what, ofRound, name(channel), phase, round));
    }
    overtaken |= coming;
  }

  private String name(int channel) {
    return faultChannelGranted && channel == dataChannels
        ? "the fault channel"
        : "data channel " + channel;
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
