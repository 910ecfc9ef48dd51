package io.pageferry.protocol.conversation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pageferry.protocol.frame.ProtocolException;
import io.pageferry.protocol.message.Abort;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.Accepted;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.ChannelRole;
import io.pageferry.protocol.message.Commit;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.Found;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.Missing;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.Ownership;
import io.pageferry.protocol.message.OwnershipQuery;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.PageRequest;
import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.message.PostcopyWish;
import io.pageferry.protocol.message.Prepared;
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
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** The conversation of one migration as PROTOCOL.md draws it, and its best known wrong turns. */
class ConversationTest {
  private static final UUID MIGRATION = new UUID(1, 2);
  private final SourceConversation source = new SourceConversation();
  private final TargetConversation target = new TargetConversation();

  @Test
  void aWholeMigration() throws ProtocolException {
    greetAndAccept();
    toTarget(new RoundBegin(1, false, 100));
    round(1, 60, 40);
    toSource(new RoundLanded(1, 100));
    assertThat(source.phase()).isEqualTo(Phase.BETWEEN_ROUNDS);
    toTarget(new RoundBegin(2, true, 3));
    round(2, 3, 0);
    toTarget(new DeviceState(0, false, new byte[10]));
    toSource(new RoundLanded(2, 3));
    toTarget(new DeviceState(10, true, new byte[0]));
    toTarget(new DigestValue(1, 2, false));
    toSource(new Prepared(true, 1, 2));
    toTarget(new Commit());
    toSource(new Started(1, 0, 1, 1, 1));
    toTarget(new Goodbye());
    assertThat(source.phase()).isEqualTo(Phase.CLOSED);
    assertThat(target.phase()).isEqualTo(Phase.CLOSED);
  }

  @Test
  void whatTheTargetHasIsToldUntilTheFirstRoundHasLanded() throws ProtocolException {
    greetAndAccept();
    assertRefusedBySource(new Recalled(0, true, 0, new byte[0]));
    toTarget(new Recall(new byte[Recall.SALT_BYTES]));
    assertIllegal(new Recall(new byte[Recall.SALT_BYTES]));
    assertIllegal(new Missing(0, true, List.of()));
    toSource(new Recalled(0, false, 3, new byte[2 * Recalled.DIGEST_BYTES]));
    assertRefusedBySource(new Recalled(0, false, 4, new byte[Recalled.DIGEST_BYTES]));
    assertRefusedBySource(new Recalled(1, false, 0, new byte[Recalled.DIGEST_BYTES]));
    assertRefusedBySource(new Recalled(0, false, 255, new byte[2 * Recalled.DIGEST_BYTES]));
    toTarget(new RoundBegin(1, false, 1));
    toSource(new Recalled(0, false, 5, new byte[Recalled.DIGEST_BYTES]));
    round(1, 1, 0);
    toSource(new Recalled(0, false, 9, new byte[Recalled.DIGEST_BYTES]));
    toSource(new RoundLanded(1, 1));
    assertRefusedBySource(new Recalled(0, true, 10, new byte[Recalled.DIGEST_BYTES]));
    toTarget(new Missing(0, true, List.of()));
  }

  @Test
  void aSourceMayAskInTheFirstRoundAndNotLater() throws ProtocolException {
    greetAndAccept();
    toTarget(new RoundBegin(1, false, 1));
    toTarget(new Recall(new byte[Recall.SALT_BYTES]));
    toSource(new Recalled(0, true, 0, new byte[0]));
    assertRefusedBySource(new Recalled(0, true, 0, new byte[0]));
    round(1, 1, 0);
    toSource(new RoundLanded(1, 1));
    assertIllegal(new Recall(new byte[Recall.SALT_BYTES]));
  }

  @Test
  void aQuestionThatTheDataChannelsOvertookIsNotAnswered() throws ProtocolException {
    Recall asked = new Recall(new byte[Recall.SALT_BYTES]);
    greetAndAccept();
    toTarget(new RoundBegin(1, false, 1));
    source.sent(asked);
    round(1, 1, 0);
    target.sent(new RoundLanded(1, 1));
    target.received(asked);
    assertThatThrownBy(() -> target.sent(new Recalled(0, true, 0, new byte[0])))
        .isInstanceOf(ProtocolException.class);
    source.received(new RoundLanded(1, 1));
    toTarget(new RoundBegin(2, false, 1));
    assertThatThrownBy(() -> target.received(asked)).isInstanceOf(ProtocolException.class);
  }

  @Test
  void aPeerThatCannotTellIsNotAsked() throws ProtocolException {
    greet(new Capabilities(Capabilities.CURRENT.bits() & ~Capabilities.KNOWN));
    toTarget(offer(PostcopyWish.IF_POSSIBLE));
    toSource(new Accepted(tokens(), 0, new byte[32]));
    assertIllegal(new Recall(new byte[Recall.SALT_BYTES]));
  }

  @Test
  void referencesAreAnsweredInTheirOrderBeforeTheRoundEnds() throws ProtocolException {
    greetAndAccept();
    Found two = new Found(1, new byte[] {Found.HELD, Found.WANTED});
    Found one = new Found(1, new byte[] {Found.COMING});
    assertThatThrownBy(() -> source.referencesSent(0, 1, 2)).isInstanceOf(ProtocolException.class);
    toTarget(new RoundBegin(1, false, 3));
    assertThatThrownBy(() -> source.foundReceived(0, two)).isInstanceOf(ProtocolException.class);
    refer(0, 1, 2);
    refer(0, 1, 1);
    assertThatThrownBy(() -> source.foundReceived(0, one)).isInstanceOf(ProtocolException.class);
    assertThatThrownBy(() -> source.foundReceived(1, two)).isInstanceOf(ProtocolException.class);
    assertThatThrownBy(() -> source.roundEndSent(0, new RoundEnd(1, 3)))
        .isInstanceOf(ProtocolException.class);
    found(0, two);
    found(0, one);
    assertThatThrownBy(() -> source.foundReceived(0, one)).isInstanceOf(ProtocolException.class);
    for (int batch = 0; batch < SourceConversation.MAX_UNANSWERED_REFERENCES; batch++) {
      refer(1, 1, 1);
    }
    assertThatThrownBy(() -> source.referencesSent(1, 1, 1)).isInstanceOf(ProtocolException.class);
    for (int batch = 0; batch < SourceConversation.MAX_UNANSWERED_REFERENCES; batch++) {
      found(1, one);
    }
    round(1, 3, 0);
    toSource(new RoundLanded(1, 3));
  }

  @Test
  void aPeerThatDoesNotLookIsNotReferredTo() throws ProtocolException {
    greet(new Capabilities(Capabilities.CURRENT.bits() & ~Capabilities.REFERENCE));
    toTarget(offer(PostcopyWish.IF_POSSIBLE));
    toSource(new Accepted(tokens(), 0, new byte[32]));
    toTarget(new RoundBegin(1, false, 3));
    assertThatThrownBy(() -> source.referencesSent(0, 1, 1)).isInstanceOf(ProtocolException.class);
    assertThatThrownBy(() -> target.referencesReceived(0, 1, 1))
        .isInstanceOf(ProtocolException.class);
  }

  private void refer(int channel, int round, int count) throws ProtocolException {
    source.referencesSent(channel, round, count);
    target.referencesReceived(channel, round, count);
  }

  private void found(int channel, Found found) throws ProtocolException {
    target.foundSent(channel, found);
    source.foundReceived(channel, found);
  }

  private void assertRefusedBySource(Message fromTarget) {
    assertThatThrownBy(() -> target.sent(fromTarget)).isInstanceOf(ProtocolException.class);
    assertThatThrownBy(() -> source.received(fromTarget)).isInstanceOf(ProtocolException.class);
  }

  @Test
  void aReclaimOnAFreshConnection() throws ProtocolException {
    greet();
    toTarget(new Reclaim(MIGRATION));
    toSource(new Ownership(MIGRATION, OwnershipState.ABANDONED));
    toTarget(new Goodbye());
    assertThat(target.phase()).isEqualTo(Phase.CLOSED);
  }

  @Test
  void aMigrationThatEndsByPostcopy() throws ProtocolException {
    greetAndAccept();
    toTarget(new RoundBegin(1, false, 100));
    round(1, 60, 40);
    toSource(new RoundLanded(1, 100));
    toTarget(new Missing(0, false, List.of(new PageSpan(3, 2))));
    assertIllegal(new RoundBegin(2, false, 0));
    assertIllegal(new DeviceState(0, true, new byte[1]));
    toTarget(new Missing(0, true, List.of(new PageSpan(0, 1), new PageSpan(9, 1))));
    assertIllegal(new Missing(0, true, List.of()));
    assertIllegal(new Switch(2, 4));
    toTarget(new DeviceState(0, true, new byte[1]));
    assertIllegal(new Switch(2, 3));
    assertIllegal(new Switch(3, 4));
    toTarget(new Switch(2, 4));
    assertThat(target.phase()).isEqualTo(Phase.LOADING);

    request(3);
    pages(source.faultChannel(), 2);
    assertThatThrownBy(() -> source.pagesSent(0, 2)).isInstanceOf(ProtocolException.class);
    toSource(new Prepared(true, 0, 0));
    request(9);
    toTarget(new Commit());
    assertIllegal(new Abort(AbortReason.CANCELLED, "too late"));
    toSource(new Started(1, 0, 1, 1, 1));
    assertThat(source.phase()).isEqualTo(Phase.FETCHING);
    pages(0, 2);
    fetchAndSettle(2);
    source.pageRequestReceived(new PageRequest(0, new long[] {9})); // overtaken by SETTLED
    toTarget(new Goodbye());
    assertThat(target.phase()).isEqualTo(Phase.CLOSED);
  }

  @Test
  void aPostcopyThatIsTakenUpAgain() throws ProtocolException {
    greet();
    assertThatThrownBy(() -> source.sent(new Resume(MIGRATION)))
        .isInstanceOf(ProtocolException.class);
    source.layout(List.of(new RegionOffer("ram", 1 << 20)));
    toTarget(new OwnershipQuery(MIGRATION));
    toSource(new Ownership(MIGRATION, OwnershipState.FETCHING));
    toTarget(new Resume(MIGRATION));
    toSource(new Resumed(MIGRATION, 7, List.of(new byte[32], new byte[32]), new byte[32]));
    toSource(new Missing(0, false, List.of(new PageSpan(255, 1))));
    assertThatThrownBy(() -> source.received(new Missing(0, true, List.of(new PageSpan(255, 2)))))
        .isInstanceOf(ProtocolException.class);
    toSource(new Missing(0, true, List.of()));
    assertThat(source.phase()).isEqualTo(Phase.FETCHING);
    assertThatThrownBy(() -> target.sent(new Abort(AbortReason.INTERNAL, "it runs here")))
        .isInstanceOf(ProtocolException.class);
    request(255);
    pages(source.faultChannel(), 7);
    fetchAndSettle(7);
  }

  @Test
  void aTargetThatCannotResumeSaysSo() throws ProtocolException {
    greet();
    source.layout(List.of(new RegionOffer("ram", 1 << 20)));
    toTarget(new Resume(MIGRATION));
    assertIllegal(new Abort(AbortReason.CANCELLED, "the guest is not the source's"));
    toSource(new Abort(AbortReason.GUEST_ENDED, "the guest has ended"));
  }

  @Test
  void withoutAFaultChannelThereIsNoPostcopy() throws ProtocolException {
    greet();
    toTarget(offer(PostcopyWish.NO));
    assertThatThrownBy(() -> target.sent(new Accepted(tokens(), 0, new byte[32])))
        .isInstanceOf(ProtocolException.class);
    toSource(new Accepted(tokens(), 0));
    assertIllegal(new Missing(0, true, List.of()));
  }

  @Test
  void whatIsRequiredIsGrantedOrRefused() throws ProtocolException {
    greet();
    toTarget(offer(PostcopyWish.REQUIRED));
    assertThatThrownBy(() -> target.sent(new Accepted(tokens(), 0)))
        .isInstanceOf(ProtocolException.class);
    toSource(new Accepted(tokens(), 0, new byte[32]));
  }

  @Test
  void noPageOfARoundMayOvertakePostcopy() throws ProtocolException {
    greetAndAccept();
    target.pagesReceived(0, 1);
    assertThatThrownBy(() -> target.received(new Missing(0, true, List.of())))
        .isInstanceOf(ProtocolException.class);
  }

  @Test
  void onlyPagesThatTheGuestHasAreMissingOrAskedFor() throws ProtocolException {
    greetAndAccept();
    assertIllegal(new Missing(1, true, List.of()));
    assertIllegal(new Missing(0, true, List.of(new PageSpan(255, 2))));
    toTarget(new Missing(0, true, List.of(new PageSpan(0, 256))));
    toTarget(new DeviceState(0, true, new byte[0]));
    assertThatThrownBy(() -> target.pageRequestSent(new PageRequest(0, new long[] {1})))
        .isInstanceOf(ProtocolException.class);
    toTarget(new Switch(1, 256));
    for (PageRequest foreign :
        List.of(new PageRequest(1, new long[] {0}), new PageRequest(0, new long[] {0, 256}))) {
      assertThatThrownBy(() -> target.pageRequestSent(foreign))
          .isInstanceOf(ProtocolException.class);
      assertThatThrownBy(() -> source.pageRequestReceived(foreign))
          .isInstanceOf(ProtocolException.class);
    }
  }

  @Test
  void pagesMayOvertakeTheirRoundBeginAtTheTargetOnly() throws ProtocolException {
    greetAndAccept();
    target.pagesReceived(1, 1);
    target.roundEndReceived(1, new RoundEnd(1, 5));
    assertThatThrownBy(() -> target.pagesReceived(1, 1)).isInstanceOf(ProtocolException.class);
    assertThatThrownBy(() -> target.pagesReceived(0, 2)).isInstanceOf(ProtocolException.class);
    assertThatThrownBy(() -> source.pagesSent(1, 1)).isInstanceOf(ProtocolException.class);
    target.received(new RoundBegin(1, false, 5));
    target.roundEndReceived(0, new RoundEnd(1, 0));
    assertThat(target.allChannelsEnded()).isTrue();
    target.sent(new RoundLanded(1, 5));
    assertThat(target.allChannelsEnded()).isFalse();
  }

  @Test
  void aCommitNeedsAMatchingDigest() throws ProtocolException {
    greetAndAccept();
    toTarget(new RoundBegin(1, true, 0));
    round(1, 0, 0);
    toSource(new RoundLanded(1, 0));
    toTarget(new DeviceState(0, true, new byte[0]));
    assertIllegal(new Commit());
    toTarget(new DigestValue(1, 2, false));
    assertIllegal(new Commit());
    toSource(new Prepared(false, 1, 3));
    assertIllegal(new Commit());
    toTarget(new Abort(AbortReason.DIGEST_MISMATCH, "differs"));
    assertIllegal(new Commit());
  }

  @Test
  void theSourceCannotAbortWhatItHasCommitted() throws ProtocolException {
    greetAndAccept();
    toTarget(new RoundBegin(1, true, 0));
    round(1, 0, 0);
    toTarget(new DeviceState(0, true, new byte[0]));
    toTarget(new DigestValue(0, 0, false));
    toSource(new RoundLanded(1, 0));
    toSource(new Prepared(true, 0, 0));
    toTarget(new Commit());
    assertIllegal(new Abort(AbortReason.CANCELLED, "too late"));
    toSource(new Abort(AbortReason.GUEST_CONTROL_FAILED, "it does not start"));
    assertThat(source.phase()).isEqualTo(Phase.ABORTED);
  }

  @Test
  void deviceStateComesWithoutGapsAndOnlyInTheLastRound() throws ProtocolException {
    greetAndAccept();
    toTarget(new RoundBegin(1, false, 0));
    assertIllegal(new DeviceState(0, true, new byte[0]));
    round(1, 0, 0);
    toSource(new RoundLanded(1, 0));
    assertIllegal(new DeviceState(0, true, new byte[0]));
    toTarget(new RoundBegin(2, true, 0));
    toTarget(new DeviceState(0, false, new byte[3]));
    assertIllegal(new DeviceState(0, false, new byte[3]));
    assertIllegal(new DeviceState(4, false, new byte[3]));
    toTarget(new DeviceState(3, true, new byte[3]));
    assertIllegal(new DeviceState(6, true, new byte[3]));
    assertIllegal(new RoundBegin(3, true, 0));
  }

  @Test
  void aRefusalSaysWhatAndWhen() {
    assertThatThrownBy(() -> source.sent(new Commit()))
        .isInstanceOfSatisfying(
            ProtocolException.class,
            e -> assertThat(e.reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION))
        .hasMessageContaining("Commit")
        .hasMessageContaining("phase NEW");
  }

  private void greet() throws ProtocolException {
    greet(Capabilities.CURRENT);
  }

  private void greet(Capabilities ofTarget) throws ProtocolException {
    toTarget(
        new Hello(
            VersionRange.CURRENT,
            ChannelRole.CONTROL,
            Capabilities.CURRENT,
            Limits.CURRENT,
            "test",
            Hello.NO_MIGRATION,
            new byte[0],
            0));
    toSource(new Welcome(1, ofTarget, Limits.CURRENT, "test"));
  }

  private void greetAndAccept() throws ProtocolException {
    greet();
    toTarget(offer(PostcopyWish.IF_POSSIBLE));
    toSource(new Accepted(tokens(), 0, new byte[32]));
  }

  private static Offer offer(PostcopyWish postcopy) {
    return new Offer(
        MIGRATION,
        "demo",
        MigrationMode.PRECOPY,
        postcopy,
        List.of(new RegionOffer("ram", 1 << 20)),
        2,
        false,
        0,
        List.of());
  }

  private static List<byte[]> tokens() {
    return List.of(new byte[32], new byte[32]);
  }

  private void request(long page) throws ProtocolException {
    PageRequest request = new PageRequest(0, new long[] {page});
    target.pageRequestSent(request);
    source.pageRequestReceived(request);
  }

  private void pages(int channel, int round) throws ProtocolException {
    source.pagesSent(channel, round);
    target.pagesReceived(channel, round);
  }

  private void fetchAndSettle(int round) throws ProtocolException {
    int fault = source.faultChannel();
    assertThat(fault).isEqualTo(2).isEqualTo(target.faultChannel());
    round(round, 1, 1);
    assertIllegal(new DigestValue(1, 2, false));
    assertThat(target.allChannelsEnded()).isFalse();
    source.roundEndSent(fault, new RoundEnd(round, 2));
    target.roundEndReceived(fault, new RoundEnd(round, 2));
    request(255); // the answer is on its way; the source knows that
    assertThatThrownBy(() -> source.pagesSent(fault, round)).isInstanceOf(ProtocolException.class);
    toSource(new RoundLanded(round, 4));
    assertIllegal(new DigestValue(1, 2, true));
    toTarget(new DigestValue(1, 2, false));
    assertIllegal(new Goodbye());
    toSource(new Settled(1, 2, Comparison.EQUAL, 1, 1, 1, 0, 0, 1, 2, 3, 0, 0));
    assertThat(source.phase()).isEqualTo(Phase.STARTED);
    assertThat(target.phase()).isEqualTo(Phase.STARTED);
  }

  private void round(int round, long onFirst, long onSecond) throws ProtocolException {
    source.pagesSent(0, round);
    source.roundEndSent(0, new RoundEnd(round, onFirst));
    source.roundEndSent(1, new RoundEnd(round, onSecond));
    target.pagesReceived(0, round);
    target.roundEndReceived(0, new RoundEnd(round, onFirst));
    target.roundEndReceived(1, new RoundEnd(round, onSecond));
  }

  private void toTarget(Message message) throws ProtocolException {
    source.sent(message);
    target.received(message);
  }

  private void toSource(Message message) throws ProtocolException {
    target.sent(message);
    source.received(message);
  }

  private void assertIllegal(Message fromSource) {
    assertThatThrownBy(() -> source.sent(fromSource)).isInstanceOf(ProtocolException.class);
    assertThatThrownBy(() -> target.received(fromSource)).isInstanceOf(ProtocolException.class);
  }
}
