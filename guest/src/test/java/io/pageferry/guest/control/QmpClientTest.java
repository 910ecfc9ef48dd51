package io.pageferry.guest.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(180)
final class QmpClientTest {
  private static final Duration LONG = Duration.ofSeconds(20);
  private static final Duration SHORT = Duration.ofMillis(150);

  @TempDir private Path folder;

  private Path socket() {
    return folder.resolve("qmp");
  }

  @Test
  void anAnswerFindsItsCommandAmongEventsAndLateAnswers() throws Exception {
    try (ScriptedGuest guest =
            new ScriptedGuest(
                socket(),
                g -> {
                  g.greet();
                  long id = g.hear("query-status");
                  g.say("{\"event\": \"STOP\", \"timestamp\": {}}\n\r\n");
                  g.answer(id + 7, "{\"status\": \"wrong\"}");
                  g.say("{\"return\": {\"status\": \"no id\"}}\n");
                  g.answer(id, "{\"status\": \"running\"}");
                  g.linger();
                });
        QmpClient client = QmpClient.connect(socket(), LONG)) {
      assertThat(guest).isNotNull();
      assertThat(client.execute("query-status", QmpJson.object(), LONG).path("status").asText())
          .isEqualTo("running");
      assertThat(client.awaitEvent(event -> true, LONG))
          .hasValueSatisfying(event -> assertThat(event.name()).isEqualTo("STOP"));
      assertThat(client.awaitEvent(event -> true, Duration.ofMillis(1))).isEmpty();
    }
  }

  @Test
  void twoThreadsMayAskAtOnceAndAreAnsweredInAnyOrder() throws Exception {
    try (ScriptedGuest guest =
            new ScriptedGuest(
                socket(),
                g -> {
                  g.greet();
                  long first = g.hear("a");
                  long second = g.hear("a");
                  g.answer(second, "{\"n\": " + second + "}");
                  g.answer(first, "{\"n\": " + first + "}");
                  g.linger();
                });
        QmpClient client = QmpClient.connect(socket(), LONG)) {
      assertThat(guest).isNotNull();
      FutureTask<Long> other =
          new FutureTask<>(() -> client.execute("a", QmpJson.object(), LONG).path("n").asLong());
      Thread.ofPlatform().start(other);
      long mine = client.execute("a", QmpJson.object(), LONG).path("n").asLong();
      assertThat(mine + other.get(20, TimeUnit.SECONDS)).isEqualTo(2 + 3);
    }
  }

  @Test
  void anErrorKeepsItsClassAndSentence() throws Exception {
    try (ScriptedGuest guest =
            new ScriptedGuest(
                socket(),
                g -> {
                  g.greet();
                  long id = g.hear("x");
                  g.say(
                      "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no x\"}, \"id\": "
                          + id
                          + "}\n");
                  g.linger();
                });
        QmpClient client = QmpClient.connect(socket(), LONG)) {
      assertThat(guest).isNotNull();
      assertThatThrownBy(() -> client.execute("x", QmpJson.object(), LONG))
          .isInstanceOfSatisfying(
              QmpErrorException.class, e -> assertThat(e.commandUnknown()).isTrue())
          .hasMessage("the guest refused 'x': no x");
    }
  }

  /** Whoever gave the order has to know whether it may have been carried out. */
  @Test
  void aGuestThatIsGoneWasNotToldWhatWasSaidAfterwards() throws Exception {
    try (ScriptedGuest guest =
            new ScriptedGuest(
                socket(),
                g -> {
                  g.greet();
                  g.hear("stop");
                });
        QmpClient client = QmpClient.connect(socket(), LONG)) {
      assertThat(guest).isNotNull();
      assertThatThrownBy(() -> client.execute("stop", QmpJson.object(), LONG))
          .isExactlyInstanceOf(GuestControlException.class);
      assertThatThrownBy(() -> client.execute("cont", QmpJson.object(), LONG))
          .isInstanceOf(GuestNotToldException.class);
    }
  }

  @Test
  void aGuestThatDoesNotAnswerIsWaitedForNoLongerThanSaid() throws Exception {
    try (ScriptedGuest guest =
            new ScriptedGuest(
                socket(),
                g -> {
                  g.greet();
                  g.hear("stop");
                  g.answer(g.hear("cont"), "{}");
                  g.linger();
                });
        QmpClient client = QmpClient.connect(socket(), LONG)) {
      assertThat(guest).isNotNull();
      assertThatThrownBy(() -> client.execute("stop", QmpJson.object(), SHORT))
          .hasMessage("the guest at " + socket() + " did not answer 'stop' within 150 ms");
      client.execute("cont", QmpJson.object(), LONG); // the connection is still good
    }
  }

  @Test
  void aGuestThatDoesNotGreetIsWaitedForNoLongerThanSaid() throws Exception {
    try (ScriptedGuest guest = new ScriptedGuest(socket(), ScriptedGuest::linger)) {
      assertThat(guest).isNotNull();
      assertThatThrownBy(() -> QmpClient.connect(socket(), SHORT))
          .hasMessageStartingWith(
              "nobody greets at the QMP socket " + socket() + " within 150 ms, because")
          .hasMessageContaining("one at a time: disconnect that one");
    }
  }

  @Test
  void nobodyAtTheSocketIsSaidSo() {
    assertThatThrownBy(() -> QmpClient.connect(folder.resolve("nobody"), LONG))
        .isInstanceOf(GuestControlException.class)
        .hasMessageStartingWith("no guest answers at the QMP socket " + folder.resolve("nobody"));
  }

  @Test
  void aGuestThatEndsMidCommandIsNoticedAtOnce() throws Exception {
    try (ScriptedGuest guest =
            new ScriptedGuest(
                socket(),
                g -> {
                  g.greet();
                  g.hear("stop");
                });
        QmpClient client = QmpClient.connect(socket(), LONG)) {
      assertThat(guest).isNotNull();
      assertThatThrownBy(() -> client.execute("stop", QmpJson.object(), Duration.ofHours(1)))
          .hasMessage("the guest at " + socket() + " closed its QMP connection");
      assertThat(client.isOpen()).isFalse();
      assertThatThrownBy(() -> client.awaitEvent(event -> true, LONG))
          .isInstanceOf(GuestControlException.class);
    }
  }

  @Test
  void anInterruptNeitherEndsTheCommandNorTheConnection() throws Exception {
    CountDownLatch interrupted = new CountDownLatch(1);
    try (ScriptedGuest guest =
            new ScriptedGuest(
                socket(),
                g -> {
                  g.greet();
                  long id = g.hear("stop");
                  if (interrupted.await(20, TimeUnit.SECONDS)) {
                    g.answer(id, "{}");
                  }
                  g.answer(g.hear("cont"), "{}");
                  g.linger();
                });
        QmpClient client = QmpClient.connect(socket(), LONG)) {
      assertThat(guest).isNotNull();
      FutureTask<Boolean> driver =
          new FutureTask<>(
              () -> {
                Thread.currentThread().interrupt();
                interrupted.countDown();
                client.execute("stop", QmpJson.object(), LONG);
                client.execute("cont", QmpJson.object(), LONG);
                return Thread.interrupted();
              });
      Thread.ofPlatform().start(driver);
      assertThat(driver.get(20, TimeUnit.SECONDS)).isTrue();
    }
  }

  @Test
  void eventsThatNobodyTakesDoNotPileUp() throws Exception {
    try (ScriptedGuest guest =
            new ScriptedGuest(
                socket(),
                g -> {
                  g.greet();
                  long id = g.hear("x");
                  for (int i = 0; i < 10_000; i++) {
                    g.say("{\"event\": \"E" + i + "\"}\n");
                  }
                  g.answer(id, "{}");
                  g.linger();
                });
        QmpClient client = QmpClient.connect(socket(), LONG)) {
      assertThat(guest).isNotNull();
      client.execute("x", QmpJson.object(), LONG);
      int kept = 0;
      while (client.awaitEvent(event -> true, Duration.ofNanos(1)).isPresent()) {
        kept++;
      }
      assertThat(kept).isEqualTo(256);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "hello\n",
        "[1, 2]\n",
        "{\"what\": 1}\n",
        "{\"return\": {}, \"id\": 1} {}\n",
        "{\"return\": {}\n",
        "\u0000\u0000\n",
        "{\"QMP\": 1}\n[",
      })
  void whatIsNoQmpEndsTheConnectionWithASentence(String garbage) throws Exception {
    try (ScriptedGuest guest =
        new ScriptedGuest(
            socket(),
            g -> {
              g.greet();
              g.hear("x");
              g.say(garbage);
            })) {
      assertThat(guest).isNotNull();
      try (QmpClient client = QmpClient.connect(socket(), LONG)) {
        assertThatThrownBy(() -> client.execute("x", QmpJson.object(), LONG))
            .isInstanceOf(GuestControlException.class)
            .hasMessageContaining(socket().toString());
      }
    }
  }

  @Test
  void aLineWithoutEndIsCutOffAtItsLimit() throws Exception {
    try (ScriptedGuest guest =
            new ScriptedGuest(
                socket(),
                g -> {
                  g.greet();
                  g.hear("x");
                  byte[] piece = "9".repeat(1 << 16).getBytes(StandardCharsets.US_ASCII);
                  for (int i = 0; i < 64; i++) {
                    g.say(piece);
                  }
                  g.say("\n");
                  g.linger();
                });
        QmpClient client = QmpClient.connect(socket(), LONG)) {
      assertThat(guest).isNotNull();
      assertThatThrownBy(() -> client.execute("x", QmpJson.object(), LONG))
          .hasMessageContaining("a line of more than 1048576 bytes");
    }
  }

  @Test
  void randomBytesAlwaysEndInASentence() throws Exception {
    for (int seed = 0; seed < 150; seed++) {
      Random random = new Random(seed);
      byte[] noise = noise(random);
      Path socket = folder.resolve("q" + seed);
      try (ScriptedGuest guest =
          new ScriptedGuest(
              socket,
              g -> {
                if (random.nextBoolean()) {
                  g.greet();
                }
                g.say(noise);
              })) {
        assertThat(guest).isNotNull();
        try (QmpClient client = QmpClient.connect(socket, LONG)) {
          client.execute("x", QmpJson.object(), LONG);
        } catch (GuestControlException e) {
          assertThat(e).hasMessageContaining(socket.toString());
        }
      }
    }
  }

  /** Real messages with bytes changed, or plain noise. */
  private static byte[] noise(Random random) throws IOException {
    byte[] bytes;
    if (random.nextBoolean()) {
      bytes = new byte[random.nextInt(5000)];
      random.nextBytes(bytes);
    } else {
      bytes =
          (ScriptedGuest.GREETING
                  + "{\"event\": \"STOP\", \"data\": {\"a\": [1, {\"b\": null}]}}\n"
                  + "{\"return\": {\"status\": \"running\"}, \"id\": 1}\n"
                  + "{\"error\": {\"class\": \"GenericError\", \"desc\": \"x\"}, \"id\": 2}\n")
              .getBytes(StandardCharsets.UTF_8);
      for (int i = random.nextInt(5); i > 0; i--) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
      }
    }
    return bytes;
  }
}
