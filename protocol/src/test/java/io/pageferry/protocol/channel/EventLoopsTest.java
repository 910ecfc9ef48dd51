package io.pageferry.protocol.channel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.pageferry.protocol.frame.Frame;
import io.pageferry.protocol.message.Progress;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.NullMarked;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Which channels share a thread. */
@NullMarked
@Timeout(180)
final class EventLoopsTest {
  /** Control, fault, and 16 data channels. */
  private static final int MOST_CHANNELS = 18;

  @Test
  void aWholeMigrationHasAThreadForEachChannelOnBothSides() throws Exception {
    try (Wire wire = new Wire(TransportSettings.plaintext())) {
      List<Wire.Ends> channels = new ArrayList<>();
      List<String> targets = new ArrayList<>();
      List<String> sources = new ArrayList<>();
      for (int i = 0; i < MOST_CHANNELS; i++) {
        Wire.Ends ends = wire.join();
        channels.add(ends);
        targets.add(threadOf(ends.target(), ends.source()));
        sources.add(threadOf(ends.source(), ends.target()));
      }
      assertThat(targets).doesNotHaveDuplicates();
      assertThat(sources).doesNotHaveDuplicates();
      channels.forEach(Wire.Ends::close);
    }
  }

  @Test
  void theThreadOfAnUrgentChannelRunsFirstForAsLongAsItLasts() throws Exception {
    BlockingQueue<String> said = new LinkedBlockingQueue<>();
    ThreadUrgency urgency =
        new ThreadUrgency() {
          @Override
          public void begin() {
            said.add("begins on " + Thread.currentThread().getName());
          }

          @Override
          public void end() {
            said.add("ends on " + Thread.currentThread().getName());
          }
        };
    try (Wire wire = new Wire(TransportSettings.plaintext().withUrgency(urgency))) {
      Wire.Ends usual = wire.join();
      Wire.Ends urgent = wire.join();
      String thread = threadOf(urgent.target(), urgent.source());
      urgent.target().urgent();
      assertThat(said.poll(30, TimeUnit.SECONDS)).isEqualTo("begins on " + thread);
      usual.close();
      urgent.close();
      assertThat(said.poll(30, TimeUnit.SECONDS)).isEqualTo("ends on " + thread);
      assertThat(said).isEmpty();
    }
  }

  @Test
  void whoeverComesLaterDoesNotShareAnUrgentChannelsThread() throws Exception {
    int threads = 3; // of which the listening socket has one
    try (Wire wire = new Wire(TransportSettings.plaintext().withEventLoopThreads(threads))) {
      Wire.Ends urgent = wire.join();
      urgent.target().urgent();
      String alone = threadOf(urgent.target(), urgent.source());
      List<Wire.Ends> others = new ArrayList<>();
      for (int i = 0; i < 3 * threads; i++) {
        Wire.Ends ends = wire.join();
        others.add(ends);
        assertThat(threadOf(ends.target(), ends.source())).isNotEqualTo(alone);
      }
      urgent.close();
      await()
          .atMost(Wire.SOON)
          .until(
              () -> {
                Wire.Ends ends = wire.join();
                others.add(ends);
                return threadOf(ends.target(), ends.source()).equals(alone);
              });
      others.forEach(Wire.Ends::close);
    }
  }

  @Test
  void aConnectorKeepsUrgentChannelsApartEvenIfItHasOneThread() throws Exception {
    try (Wire wire = new Wire(TransportSettings.plaintext().withEventLoopThreads(1));
        Wire.Ends bulk = wire.join();
        PeerChannel urgent = wire.connector.connectUrgent(wire.address)) {
      urgent.send(new Progress(0));
      try (PeerChannel accepted = wire.accepted()) {
        assertThat(threadOf(urgent, accepted)).isNotEqualTo(threadOf(bulk.source(), bulk.target()));
      }
    }
  }

  /** The name of the thread on which a channel hears what its other end says. */
  private static String threadOf(PeerChannel channel, PeerChannel otherEnd) throws Exception {
    BlockingQueue<String> heard = new LinkedBlockingQueue<>();
    channel.listen(
        new FrameListener() {
          @Override
          public void onFrame(PeerChannel on, Frame frame) {
            frame.release();
            heard.add(Thread.currentThread().getName());
          }

          @Override
          public void onClosed(PeerChannel on, @Nullable Throwable cause) {}
        });
    otherEnd.sendFrame(Wire.frame(0, 1));
    String thread = heard.poll(Wire.SOON.toSeconds(), TimeUnit.SECONDS);
    assertThat(thread).isNotNull();
    return String.valueOf(thread);
  }
}
