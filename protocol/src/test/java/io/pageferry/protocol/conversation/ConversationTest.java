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
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.protocol.message.DigestValue;
import io.pageferry.protocol.message.Goodbye;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.Offer;
import io.pageferry.protocol.message.Ownership;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.Prepared;
import io.pageferry.protocol.message.Reclaim;
import io.pageferry.protocol.message.RegionOffer;
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.Started;
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
  void aReclaimOnAFreshConnection() throws ProtocolException {
    greet();
    toTarget(new Reclaim(MIGRATION));
    toSource(new Ownership(MIGRATION, OwnershipState.ABANDONED));
    toTarget(new Goodbye());
    assertThat(target.phase()).isEqualTo(Phase.CLOSED);
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
    toSource(new Welcome(1, Capabilities.CURRENT, Limits.CURRENT, "test"));
  }

  private void greetAndAccept() throws ProtocolException {
    greet();
    toTarget(
        new Offer(
            MIGRATION,
            "demo",
            MigrationMode.PRECOPY,
            List.of(new RegionOffer("ram", 1 << 20)),
            2,
            false,
            0));
    toSource(new Accepted(List.of(new byte[32], new byte[32]), 0));
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
