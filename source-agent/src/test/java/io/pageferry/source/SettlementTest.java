package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.protocol.channel.PeerAcceptor;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.channel.PeerConnector;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.channel.TransportSettings;
import io.pageferry.protocol.message.Capabilities;
import io.pageferry.protocol.message.Hello;
import io.pageferry.protocol.message.Limits;
import io.pageferry.protocol.message.Message;
import io.pageferry.protocol.message.Ownership;
import io.pageferry.protocol.message.OwnershipQuery;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.protocol.message.Reclaim;
import io.pageferry.protocol.message.Welcome;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.Queue;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Whose guest it is after a lost confirmation, asked of a target that answers from its ledger. */
@Timeout(180)
class SettlementTest {
  /** For an answer that comes. */
  private static final Duration LIMIT = Duration.ofSeconds(60);

  /** For one that does not. */
  private static final Duration IN_VAIN = Duration.ofSeconds(2);

  @TempDir private Path state;
  private OwnershipLedger ledger;
  private PeerConnector connector;
  private PeerAcceptor acceptor;
  private InetSocketAddress target;
  private final Queue<Message> asked = new ConcurrentLinkedQueue<>();
  private volatile OwnershipState otherLedger = OwnershipState.UNKNOWN;

  private final AtomicInteger queriesUntilItRuns = new AtomicInteger(-1);
  private final AtomicInteger silentConnections = new AtomicInteger();

  @BeforeEach
  void handOver() throws Exception {
    ledger =
        OwnershipLedger.create(
            state, LedgerSide.SOURCE, UUID.randomUUID(), LedgerFields.of("demo", "target:1"));
    ledger.record(LedgerState.STREAMING);
    ledger.record(LedgerState.PAUSED);
    ledger.record(LedgerState.HANDED_OVER);
    connector = new PeerConnector(TransportSettings.plaintext());
    acceptor = new PeerAcceptor(TransportSettings.plaintext());
    target =
        acceptor.bind(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            channel -> Thread.ofVirtual().start(() -> answer(channel)));
  }

  @AfterEach
  void close() {
    ledger.close();
    connector.close();
    acceptor.close();
  }

  /** A target with nothing but a ledger. */
  private void answer(PeerChannel channel) {
    if (silentConnections.getAndDecrement() > 0) {
      channel.close();
      return;
    }
    try {
      while (true) {
        Message message = channel.receive(Duration.ofSeconds(60));
        asked.add(message);
        switch (message) {
          case Hello _ ->
              channel.send(new Welcome(1, Capabilities.CURRENT, Limits.CURRENT, "test-target"));
          case OwnershipQuery query -> {
            if (queriesUntilItRuns.getAndDecrement() == 0) {
              otherLedger = OwnershipState.RUNNING;
            }
            channel.send(new Ownership(query.migration(), otherLedger));
          }
          case Reclaim reclaim -> {
            if (otherLedger != OwnershipState.TAKEN_OVER) {
              otherLedger = OwnershipState.ABANDONED;
            }
            channel.send(new Ownership(reclaim.migration(), otherLedger));
          }
          default -> throw new IllegalStateException("unexpected " + message);
        }
      }
    } catch (Exception e) {
      channel.close();
    }
  }

  private Optional<LedgerState> settle(String peerName) throws Exception {
    return settle(peerName, LIMIT);
  }

  private Optional<LedgerState> settle(String peerName, Duration limit) throws Exception {
    return new Settlement(new TargetPlace(connector, target, "test-source"), peerName)
        .settle(ledger, limit, true);
  }

  @Test
  void aGuestThatRunsThereIsGone() throws Exception {
    otherLedger = OwnershipState.RUNNING;
    assertThat(settle(PeerIdentity.PLAINTEXT)).contains(LedgerState.COMPLETED);
    assertThat(ledger.current()).isEqualTo(LedgerState.COMPLETED);
    assertThat(asked).noneMatch(Reclaim.class::isInstance);
  }

  @Test
  void aGuestThatWasTakenOverIsGoneWhenItRuns() throws Exception {
    otherLedger = OwnershipState.TAKEN_OVER;
    queriesUntilItRuns.set(2);
    assertThat(settle(PeerIdentity.PLAINTEXT)).contains(LedgerState.COMPLETED);
    assertThat(asked).filteredOn(OwnershipQuery.class::isInstance).hasSize(3);
  }

  /** The copy here may be the only one left, and completed would be the leave to end it. */
  @Test
  void aGuestThatWasTakenOverAndDoesNotRunIsKept() throws Exception {
    otherLedger = OwnershipState.TAKEN_OVER;
    assertThat(settle(PeerIdentity.PLAINTEXT, IN_VAIN)).contains(LedgerState.HANDED_OVER);
    assertThat(ledger.current()).isEqualTo(LedgerState.HANDED_OVER);
    assertThat(asked).noneMatch(Reclaim.class::isInstance);
  }

  @Test
  void aGuestThatStillNeedsItsPagesIsServed() throws Exception {
    otherLedger = OwnershipState.FETCHING;
    assertThat(settle(PeerIdentity.PLAINTEXT)).contains(LedgerState.SERVING);
    assertThat(ledger.current()).isEqualTo(LedgerState.SERVING);
    assertThat(asked).noneMatch(Reclaim.class::isInstance);
  }

  @Test
  void aGuestThatWasNotTakenIsReclaimedAndCannotBeTakenLater() throws Exception {
    otherLedger = OwnershipState.PREPARED;
    assertThat(settle(PeerIdentity.PLAINTEXT)).contains(LedgerState.RECLAIMED);
    assertThat(otherLedger).isEqualTo(OwnershipState.ABANDONED);
    assertThat(ledger.current()).isEqualTo(LedgerState.RECLAIMED);
  }

  @Test
  void aTargetThatGaveUpByItselfGivesTheGuestBack() throws Exception {
    otherLedger = OwnershipState.ABANDONED;
    assertThat(settle(PeerIdentity.PLAINTEXT)).contains(LedgerState.RECLAIMED);
  }

  /** It gave up as its last word: it is reached as any other, and not waited for. */
  @Test
  void aGuestThatWillNotBeStartedIsNotWaitedFor() throws Exception {
    silentConnections.set(2);
    otherLedger = OwnershipState.TAKEN_OVER;
    assertThat(
            new Settlement(
                    new TargetPlace(connector, target, "test-source"), PeerIdentity.PLAINTEXT)
                .settle(ledger, Duration.ofDays(1), false))
        .contains(LedgerState.HANDED_OVER);
    assertThat(asked).filteredOn(OwnershipQuery.class::isInstance).hasSize(1);
  }

  @Test
  void aTargetThatNeverHeardOfItIsNotBelieved() throws Exception {
    otherLedger = OwnershipState.UNKNOWN;
    assertThat(settle(PeerIdentity.PLAINTEXT, IN_VAIN)).isEmpty();
    assertThat(ledger.current()).isEqualTo(LedgerState.HANDED_OVER);
  }

  @Test
  void anotherAgentAtTheSameAddressIsNotAsked() throws Exception {
    otherLedger = OwnershipState.ABANDONED;
    assertThat(settle("somebody-else", IN_VAIN)).isEmpty();
    assertThat(ledger.current()).isEqualTo(LedgerState.HANDED_OVER);
    assertThat(asked).noneMatch(OwnershipQuery.class::isInstance);
  }

  @Test
  void aTargetThatComesBackIsAskedAgain() throws Exception {
    silentConnections.set(2);
    otherLedger = OwnershipState.RUNNING;
    assertThat(settle(PeerIdentity.PLAINTEXT)).contains(LedgerState.COMPLETED);
  }

  private void withdraw(String peerName, Duration limit) throws Exception {
    new Settlement(new TargetPlace(connector, target, "test-source"), peerName)
        .withdraw(ledger.migration(), limit);
  }

  @Test
  void aTargetThatIsReadyIsToldThatTheGuestStays() throws Exception {
    silentConnections.set(2);
    otherLedger = OwnershipState.PREPARED;
    withdraw(PeerIdentity.PLAINTEXT, LIMIT);
    assertThat(otherLedger).isEqualTo(OwnershipState.ABANDONED);
  }

  @Test
  void anotherAgentAtTheSameAddressIsNotTold() throws Exception {
    otherLedger = OwnershipState.PREPARED;
    withdraw("somebody-else", LIMIT);
    assertThat(asked).noneMatch(Reclaim.class::isInstance);
  }

  @Test
  void aTargetThatIsGoneKeepsNobodyWaiting() throws Exception {
    acceptor.close();
    withdraw(PeerIdentity.PLAINTEXT, Duration.ofMillis(100));
    assertThat(asked).isEmpty();
  }

  @Test
  void withoutATargetTheQuestionStaysOpen() throws Exception {
    acceptor.close();
    assertThat(settle(PeerIdentity.PLAINTEXT, IN_VAIN)).isEmpty();
    assertThat(ledger.current()).isEqualTo(LedgerState.HANDED_OVER);
  }
}
