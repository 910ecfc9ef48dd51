package io.pageferry.guest.control;

import static org.assertj.core.api.Assertions.assertThat;

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
                  guest.answer(guest.hear("migrate-set-capabilities"), "{}");
                  guest.answer(guest.hear("migrate-set-capabilities"), "{}");
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
}
