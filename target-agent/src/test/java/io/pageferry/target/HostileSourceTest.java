package io.pageferry.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.protocol.channel.PeerAbortedException;
import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.channel.PeerLostException;
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
import io.pageferry.protocol.message.RoundBegin;
import io.pageferry.protocol.message.RoundEnd;
import io.pageferry.protocol.message.RoundLanded;
import io.pageferry.protocol.message.VersionRange;
import io.pageferry.protocol.message.Welcome;
import java.io.OutputStream;
import java.net.Socket;
import java.time.Duration;
import java.util.Objects;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Peers that break the protocol, lie or fall silent: nothing of theirs is left here. */
@Timeout(120)
class HostileSourceTest {
  private static final long MEMORY = 1 << 20;

  private TargetBench bench;

  @BeforeEach
  void setUp() throws Exception {
    bench = new TargetBench();
    bench.describe("alpha", MEMORY);
    bench.start();
  }

  /** From now on the target waits no longer than a test can. */
  private void waitNoLonger() throws Exception {
    bench.stop();
    bench.limits =
        bench.limits.withJoinLimit(Duration.ofSeconds(3)).withIdleLimit(Duration.ofSeconds(2));
    bench.start();
  }

  @AfterEach
  void tearDown() throws Exception {
    bench.close();
  }

  private ScriptedSource source() throws Exception {
    return new ScriptedSource(bench.address(), MEMORY);
  }

  private void assertAbandoned(ScriptedSource source, AbortReason reason, String... words)
      throws Exception {
    Abort abort = source.expectAbort();
    assertThat(abort.reason()).as(abort.text()).isEqualTo(reason);
    for (String word : words) {
      assertThat(abort.text()).contains(word);
    }
    bench.assertNothingLeft();
    assertThat(bench.ledger(source.migration).state()).isEqualTo(LedgerState.ABANDONED);
  }

  @Test
  void garbageDoesNotDisturbOthers() throws Exception {
    try (ScriptedSource good = source()) {
      good.begin("alpha", 1, false);
      Random random = new Random(7);
      for (int i = 0; i < 20; i++) {
        byte[] garbage = new byte[1 + random.nextInt(5000)];
        random.nextBytes(garbage);
        try (Socket socket = new Socket(bench.address().getAddress(), bench.address().getPort())) {
          OutputStream out = socket.getOutputStream();
          out.write(garbage);
          out.flush();
        }
      }
      good.control.send(new RoundBegin(1, false, 1));
      good.data.getFirst().sendFrame(good.batch(1, 0, 4, 'x'));
      good.data.getFirst().send(new RoundEnd(1, 4));
      assertThat(good.expect(RoundLanded.class).pages()).isEqualTo(4);
    }
    bench.assertNothingLeft();
  }

  @Test
  void somethingElseThanHello() throws Exception {
    try (ScriptedSource source = source()) {
      PeerChannel other = source.another();
      other.send(new Commit());
      Abort abort = ScriptedSource.expectAbort(other);
      assertThat(abort.reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION);
    }
  }

  @Test
  void versionsThatDoNotMeet() throws Exception {
    try (ScriptedSource source = source()) {
      PeerChannel other = source.another();
      other.send(
          new Hello(
              new VersionRange(7, 9),
              ChannelRole.CONTROL,
              Capabilities.CURRENT,
              Limits.CURRENT,
              "later",
              Hello.NO_MIGRATION,
              new byte[0],
              0));
      Abort abort = ScriptedSource.expectAbort(other);
      assertThat(abort.reason()).isEqualTo(AbortReason.VERSION_MISMATCH);
      assertThat(abort.text()).contains("7 to 9");
    }
  }

  @Test
  void aFaultChannelWithAMadeUpToken() throws Exception {
    try (ScriptedSource source = source()) {
      PeerChannel other = source.another();
      other.send(ScriptedSource.hello(ChannelRole.FAULT, source.migration, new byte[32], 0));
      assertThat(ScriptedSource.expectAbort(other).reason()).isEqualTo(AbortReason.BAD_TOKEN);
    }
  }

  @Test
  void commitWithoutAnything() throws Exception {
    try (ScriptedSource source = source()) {
      source.control.send(new Commit());
      assertThat(source.expectAbort().reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION);
    }
  }

  @Test
  void commitBeforePrepared() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, false);
      source.control.send(new Commit());
      assertAbandoned(source, AbortReason.PROTOCOL_VIOLATION, "Commit");
    }
  }

  @Test
  void tokensAreGoodOnceAndOnlyForTheirChannel() throws Exception {
    try (ScriptedSource source = source()) {
      source.control.send(source.offer("alpha", 2, false));
      Accepted accepted = source.expect(Accepted.class);
      byte[] first = accepted.joinTokens().get(0);
      byte[] second = accepted.joinTokens().get(1);
      assertRefusedChannel(source.join(new byte[32], 0));
      assertRefusedChannel(source.join(second, 0));
      PeerChannel joined = source.join(first, 0);
      ScriptedSource.expect(joined, Welcome.class);
      assertRefusedChannel(source.join(first, 0));
      assertRefusedChannel(source.join(first, 15));
      // None of that did the migration any harm.
      PeerChannel other = source.join(second, 1);
      ScriptedSource.expect(other, Welcome.class);
      source.control.send(new RoundBegin(1, false, 0));
      joined.send(new RoundEnd(1, 0));
      other.send(new RoundEnd(1, 0));
      assertThat(source.expect(RoundLanded.class).round()).isEqualTo(1);
      assertRefusedChannel(joinMigration(source, UUID.randomUUID(), accepted.joinTokens().get(0)));
    }
    bench.assertNothingLeft();
  }

  private static PeerChannel joinMigration(ScriptedSource source, UUID id, byte[] token)
      throws Exception {
    PeerChannel channel = source.another();
    channel.send(ScriptedSource.hello(ChannelRole.DATA, id, token, 0));
    return channel;
  }

  private static void assertRefusedChannel(PeerChannel channel) throws Exception {
    assertThat(ScriptedSource.expectAbort(channel).reason()).isEqualTo(AbortReason.BAD_TOKEN);
  }

  @Test
  void channelsThatNeverJoin() throws Exception {
    waitNoLonger();
    try (ScriptedSource source = source()) {
      source.control.send(source.offer("alpha", 2, false));
      Accepted accepted = source.expect(Accepted.class);
      ScriptedSource.expect(source.join(accepted.joinTokens().get(0), 0), Welcome.class);
      assertAbandoned(source, AbortReason.PEER_SILENT);
    }
  }

  @Test
  void pagesThatTheImageDoesNotHave() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, false);
      source.control.send(new RoundBegin(1, false, 4));
      ByteBuf frame = ScriptedSource.rawBatch(1, 0, 255, 2);
      source.data.getFirst().sendFrame(frame);
      assertAbandoned(source, AbortReason.PROTOCOL_VIOLATION, "255");
    }
  }

  @Test
  void aDeltaOfAPageThatNeverCame() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, false);
      source.control.send(new RoundBegin(1, false, 1));
      source.data.getFirst().sendFrame(ScriptedSource.deltaBatch(1, 7, 0));
      assertAbandoned(source, AbortReason.PROTOCOL_VIOLATION, "delta", "page 7");
    }
  }

  @Test
  void aDeltaToAnotherContentThanThePageHas() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, false);
      source.control.send(new RoundBegin(1, false, 4));
      source.data.getFirst().sendFrame(source.batch(1, 5, 4, 'x'));
      source.data.getFirst().send(new RoundEnd(1, 4));
      source.expect(RoundLanded.class);
      source.control.send(new RoundBegin(2, false, 1));
      source.data.getFirst().sendFrame(ScriptedSource.deltaBatch(2, 7, 12345));
      assertAbandoned(source, AbortReason.DIGEST_MISMATCH, "page 7");
    }
  }

  @Test
  void aRoundOutOfTurn() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, false);
      source.control.send(new RoundBegin(2, false, 4));
      assertAbandoned(source, AbortReason.PROTOCOL_VIOLATION);
    }
  }

  @Test
  void pagesOfALaterRound() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 2, false);
      source.control.send(new RoundBegin(1, false, 4));
      source.data.get(0).send(new RoundEnd(1, 0));
      source.data.get(0).sendFrame(source.batch(2, 0, 1, 'y'));
      assertAbandoned(source, AbortReason.PROTOCOL_VIOLATION, "round 2");
    }
  }

  @Test
  void aRoundEndThatCountsWrongly() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, false);
      source.control.send(new RoundBegin(1, false, 4));
      source.data.getFirst().sendFrame(source.batch(1, 0, 3, 'x'));
      source.data.getFirst().send(new RoundEnd(1, 4));
      assertAbandoned(source, AbortReason.PROTOCOL_VIOLATION, "4", "3");
    }
  }

  @Test
  void noRoundLandedWhileAChannelOwesItsEnd() throws Exception {
    waitNoLonger();
    try (ScriptedSource source = source()) {
      source.begin("alpha", 2, false);
      source.control.send(new RoundBegin(1, false, 4));
      source.data.getFirst().sendFrame(source.batch(1, 0, 3, 'x'));
      source.data.getFirst().send(new RoundEnd(1, 3));
      // It waits for the second channel, and gives up when that never comes.
      assertAbandoned(source, AbortReason.PEER_SILENT);
    }
  }

  @Test
  void controlMessagesOnADataChannel() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, false);
      source.data.getFirst().send(new Goodbye());
      assertAbandoned(source, AbortReason.PROTOCOL_VIOLATION, "GOODBYE");
    }
  }

  @Test
  void pagesOnTheControlChannel() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, false);
      source.control.send(new RoundBegin(1, false, 4));
      source.control.sendFrame(source.batch(1, 0, 3, 'x'));
      Abort abort = source.expectAbort();
      assertThat(abort.reason()).isEqualTo(AbortReason.PROTOCOL_VIOLATION);
    }
    bench.assertNothingLeft();
  }

  @Test
  void aWrongDigestNeverBecomesPrepared() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, false);
      source.control.send(new RoundBegin(1, true, 3));
      source.data.getFirst().sendFrame(source.batch(1, 0, 3, 'x'));
      source.data.getFirst().send(new RoundEnd(1, 3));
      source.expect(RoundLanded.class);
      source.control.send(new DeviceState(0, true, new byte[10]));
      source.control.send(new DigestValue(1, 2, false));
      assertAbandoned(source, AbortReason.DIGEST_MISMATCH, "digest");
    }
  }

  @Test
  void aDeviceStateThatTheGuestRefuses() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, true);
      source.control.send(new RoundBegin(1, true, 3));
      source.data.getFirst().sendFrame(source.batch(1, 0, 3, 'x'));
      source.data.getFirst().send(new RoundEnd(1, 3));
      source.expect(RoundLanded.class);
      source.finish(new byte[] {1, 2, 3, 4}, true);
      assertAbandoned(source, AbortReason.DEVICE_STATE_REJECTED);
    }
  }

  @Test
  void aRunningDigestWhereAFullOneWasOffered() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, true);
      source.control.send(new RoundBegin(1, true, 0));
      source.data.getFirst().send(new RoundEnd(1, 0));
      source.expect(RoundLanded.class);
      source.finish(new byte[] {1}, false);
      assertAbandoned(source, AbortReason.PROTOCOL_VIOLATION, "full");
    }
  }

  @Test
  void piecesOfDeviceStateWithAGap() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, false);
      source.control.send(new RoundBegin(1, true, 0));
      source.control.send(new DeviceState(0, false, new byte[10]));
      source.control.send(new DeviceState(20, true, new byte[10]));
      assertAbandoned(source, AbortReason.PROTOCOL_VIOLATION);
    }
  }

  @Test
  void aSourceThatLivesAndSaysNothing() throws Exception {
    waitNoLonger();
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, false);
      source.control.send(new RoundBegin(1, false, 3));
      assertAbandoned(source, AbortReason.PEER_SILENT);
    }
  }

  @Test
  void aSourceThatGoesAway() throws Exception {
    ScriptedSource source = source();
    source.begin("alpha", 1, false);
    source.control.send(new RoundBegin(1, false, 3));
    source.data.getFirst().sendFrame(source.batch(1, 0, 3, 'x'));
    source.close();
    bench.assertNothingLeft();
    assertThat(bench.ledger(source.migration).state()).isEqualTo(LedgerState.ABANDONED);
  }

  @Test
  void aDataChannelThatIsLost() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 2, false);
      source.control.send(new RoundBegin(1, false, 3));
      source.data.get(1).close();
      assertAbandoned(source, AbortReason.PEER_SILENT, "data channel 1");
    }
  }

  @Test
  void aFrameWithABrokenChecksum() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, false);
      source.control.send(new RoundBegin(1, false, 3));
      ByteBuf frame = source.batch(1, 0, 3, 'x');
      ByteBuf broken = Unpooled.copiedBuffer(frame);
      frame.release();
      broken.setByte(broken.readableBytes() - 1, broken.getByte(broken.readableBytes() - 1) ^ 1);
      source.data.getFirst().sendFrame(broken);
      Abort abort = source.expectAbort();
      assertThat(abort.reason())
          .as(abort.text())
          .isIn(AbortReason.CORRUPT_FRAME, AbortReason.PEER_SILENT);
      bench.assertNothingLeft();
    }
  }

  @Test
  void aGuestThatEndsInMidRound() throws Exception {
    try (ScriptedSource source = source()) {
      source.begin("alpha", 1, false);
      source.control.send(new RoundBegin(1, false, 3));
      long guest = Objects.requireNonNull(bench.ledger(source.migration).fields().launched()).pid();
      assertThat(ProcessHandle.of(guest).orElseThrow().destroyForcibly()).isTrue();
      assertAbandoned(source, AbortReason.GUEST_ENDED, "ended");
    }
  }

  @Test
  void aSilentStrangerIsCutOff() throws Exception {
    try (Socket socket = new Socket(bench.address().getAddress(), bench.address().getPort())) {
      socket.setSoTimeout(60_000);
      // It gets keep-alives until its time is over.
      assertThat(socket.getInputStream().readAllBytes().length).isLessThan(10_000);
    }
  }

  @Test
  void aPeerThatGreetsAndIsNotHeardAgain() throws Exception {
    try (ScriptedSource source = source()) {
      await().atMost(TargetBench.PATIENCE).until(() -> !stillThere(source));
    }
  }

  private static boolean stillThere(ScriptedSource source) throws Exception {
    try {
      source.control.receive(Duration.ofSeconds(50));
      return true;
    } catch (PeerAbortedException e) {
      assertThat(e.reason()).isEqualTo(AbortReason.PEER_SILENT);
      assertThatThrownBy(() -> source.control.receive(ScriptedSource.PATIENCE))
          .isInstanceOf(PeerLostException.class);
      return false;
    }
  }
}
