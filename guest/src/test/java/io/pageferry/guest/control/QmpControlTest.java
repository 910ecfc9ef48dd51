package io.pageferry.guest.control;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is said to a guest; that QEMU and the demo guest take it so, the tests with them show. */
@Timeout(180)
final class QmpControlTest {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Duration LONG = Duration.ofSeconds(20);

  @TempDir private Path folder;

  /** A guest that has heard {@code announce-self} and says this. */
  private void announce(String answer, CompletableFuture<Boolean> heard) throws IOException {
    Path socket = folder.resolve("qmp");
    try (ScriptedGuest _ =
            new ScriptedGuest(
                socket,
                guest -> {
                  guest.greet();
                  guest.answer(guest.hear("query-migrate-capabilities"), "[]");
                  long id = guest.hear("announce-self");
                  heard.complete(true);
                  guest.say("{" + answer + ", \"id\": " + id + "}\r\n");
                  guest.linger();
                });
        QmpControl control = QmpControl.connect(socket, LONG)) {
      control.announce();
    }
  }

  @Test
  void aQemuIsAskedToAnnounceItself() throws Exception {
    CompletableFuture<Boolean> heard = new CompletableFuture<>();
    announce("\"return\": {}", heard);
    assertThat(heard.get(20, TimeUnit.SECONDS)).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"CommandNotFound", "GenericError"})
  void aGuestThatDoesNotIsLeftAlone(String error) throws Exception {
    CompletableFuture<Boolean> heard = new CompletableFuture<>();
    announce("\"error\": {\"class\": \"%s\", \"desc\": \"what?\"}".formatted(error), heard);
    assertThat(heard.get(20, TimeUnit.SECONDS)).isTrue();
  }

  /** One that its user has set for migrations of his own. */
  @Test
  void aQemuIsSetBackToWhatItsUserWants() throws Exception {
    CompletableFuture<JsonNode> there = new CompletableFuture<>();
    CompletableFuture<JsonNode> back = new CompletableFuture<>();
    Path socket = folder.resolve("qmp");
    try (ScriptedGuest _ =
        new ScriptedGuest(
            socket,
            guest -> {
              guest.greet();
              guest.answer(
                  guest.hear("query-migrate-capabilities"),
                  "[%s, %s, %s, %s, %s, %s]"
                      .formatted(
                          capability("events", true),
                          capability("multifd", true),
                          capability("return-path", true),
                          capability("postcopy-ram", false),
                          capability("x-ignore-shared", false),
                          capability("xbzrle", true)));
              JsonNode first = guest.hearAll("migrate-set-capabilities");
              there.complete(first.path("arguments").path("capabilities"));
              guest.answer(first.path("id").asLong(), "{}");
              JsonNode second = guest.hearAll("migrate-set-capabilities");
              back.complete(second.path("arguments").path("capabilities"));
              guest.answer(second.path("id").asLong(), "{}");
              guest.linger();
            })) {
      QmpControl.connect(socket, LONG).close();
      assertThat(there.get(20, TimeUnit.SECONDS))
          .containsExactlyInAnyOrder(
              MAPPER.readTree(capability("multifd", false)),
              MAPPER.readTree(capability("return-path", false)),
              MAPPER.readTree(capability("x-ignore-shared", true)));
      assertThat(back.get(20, TimeUnit.SECONDS))
          .containsExactlyInAnyOrder(
              MAPPER.readTree(capability("multifd", true)),
              MAPPER.readTree(capability("return-path", true)),
              MAPPER.readTree(capability("x-ignore-shared", false)));
    }
  }

  private static String capability(String name, boolean on) {
    return "{\"capability\": \"%s\", \"state\": %s}".formatted(name, on);
  }
}
