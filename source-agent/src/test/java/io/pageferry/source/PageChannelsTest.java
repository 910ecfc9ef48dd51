package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.pageferry.protocol.channel.PeerChannel;
import io.pageferry.protocol.channel.PeerConnector;
import io.pageferry.protocol.channel.TransportSettings;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Connections to a target that is there, and some that cannot be had. */
@Timeout(60)
final class PageChannelsTest {
  private static final Duration LIMIT = Duration.ofSeconds(20);

  private final List<PeerChannel> connected = new CopyOnWriteArrayList<>();
  private final CompletableFuture<Boolean> givenUp = new CompletableFuture<>();
  private ScriptedTarget target;
  private PeerConnector connector;

  @BeforeEach
  void listen() throws Exception {
    target = new ScriptedTarget(1);
    connector = new PeerConnector(TransportSettings.plaintext());
  }

  @AfterEach
  void close() {
    connector.close();
    target.close();
  }

  private PeerChannel connect() throws IOException, InterruptedException {
    PeerChannel channel = connector.connect(target.address());
    connected.add(channel);
    return channel;
  }

  /** Like a host that answers nothing. */
  private PeerChannel neverConnect() throws InterruptedException {
    try {
      new CountDownLatch(1).await();
      throw new AssertionError("nobody counts it down");
    } catch (InterruptedException e) {
      givenUp.complete(true);
      throw e;
    }
  }

  /** Long before one would be taken for lost because nobody says anything on it. */
  private void assertNoneIsLeft(int were) {
    assertThat(connected).hasSize(were);
    await("the end of those that were there")
        .atMost(Duration.ofSeconds(5))
        .until(() -> connected.stream().noneMatch(PeerChannel::isOpen));
  }

  @Test
  void allOfThemAreThere() throws Exception {
    try (PageChannels channels = PageChannels.open(this::connect, 3, this::connect)) {
      assertThat(channels.data()).hasSize(3).allMatch(PeerChannel::isOpen);
      assertThat(channels.fault()).isNotIn(channels.data());
      assertThat(channels.fault().isOpen()).isTrue();
    }
    assertNoneIsLeft(4);
  }

  @Test
  void thereIsNoneIfOneCannotBeHad() {
    AtomicInteger turns = new AtomicInteger();
    CountDownLatch others = new CountDownLatch(3);
    assertThatThrownBy(
            () ->
                PageChannels.open(
                    () -> {
                      if (turns.getAndIncrement() == 0) {
                        others.await();
                        throw new IOException("refused");
                      }
                      PeerChannel channel = connect();
                      others.countDown();
                      return channel;
                    },
                    3,
                    () -> {
                      others.countDown();
                      return neverConnect();
                    }))
        .isInstanceOf(IOException.class)
        .hasMessage("refused");
    assertThat(givenUp).isCompletedWithValue(true);
    assertNoneIsLeft(2);
  }

  @Test
  void thereIsNoneForWhoIsInterrupted() throws Exception {
    FutureTask<PageChannels> opening =
        new FutureTask<>(() -> PageChannels.open(this::connect, 2, this::neverConnect));
    Thread opener = Thread.ofVirtual().start(opening);
    await("the data channels").atMost(LIMIT).until(() -> connected.size() == 2);
    opener.interrupt();
    assertThatThrownBy(() -> opening.get(LIMIT.toSeconds(), TimeUnit.SECONDS))
        .isInstanceOf(ExecutionException.class)
        .hasCauseInstanceOf(InterruptedException.class);
    assertThat(givenUp).isCompletedWithValue(true);
    assertNoneIsLeft(2);
  }
}
