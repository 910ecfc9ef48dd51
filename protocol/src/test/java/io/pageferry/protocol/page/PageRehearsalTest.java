package io.pageferry.protocol.page;

import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.util.concurrent.ThreadFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(180)
class PageRehearsalTest {
  private static final ThreadFactory THREADS =
      Thread.ofPlatform().daemon().name("page-rehearsal").factory();

  @Test
  void itEndsWhenItIsToldTo() {
    try (PageRehearsal _ = PageRehearsal.begin(THREADS)) {
      await().pollInterval(Duration.ofMillis(1)).until(PageRehearsalTest::isRunning);
    }
    await().atMost(Duration.ofSeconds(2)).until(() -> !isRunning());
  }

  @Test
  void itEndsByItself() {
    PageRehearsal.begin(THREADS);
    await().atMost(Duration.ofSeconds(30)).until(() -> !isRunning());
  }

  private static boolean isRunning() {
    return Thread.getAllStackTraces().keySet().stream()
        .anyMatch(thread -> thread.getName().equals("page-rehearsal"));
  }
}
