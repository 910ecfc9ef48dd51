package io.pageferry.protocol.page;

import static org.awaitility.Awaitility.await;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(180)
class PageRehearsalTest {

  @Test
  void itEndsWhenItIsToldTo() {
    try (PageRehearsal _ = PageRehearsal.begin()) {
      await().pollInterval(Duration.ofMillis(1)).until(PageRehearsalTest::isRunning);
    }
    await().atMost(Duration.ofSeconds(2)).until(() -> !isRunning());
  }

  @Test
  void itEndsByItself() {
    PageRehearsal.begin();
    await().atMost(Duration.ofSeconds(30)).until(() -> !isRunning());
  }

  private static boolean isRunning() {
    return Thread.getAllStackTraces().keySet().stream()
        .anyMatch(thread -> thread.getName().equals("page-rehearsal"));
  }
}
