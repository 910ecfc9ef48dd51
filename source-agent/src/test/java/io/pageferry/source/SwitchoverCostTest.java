package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SwitchoverCostTest {
  @TempDir private Path state;

  @BeforeEach
  void makeFolder() throws IOException {
    Files.createDirectory(state.resolve("source"));
  }

  @Test
  void theFirstEstimateAddsUpWhatCouldBeMeasured() {
    SwitchoverCost cost = new SwitchoverCost(state, "demo");
    assertThat(cost.estimateNanos(5_000, 1_000_000, 2_000_000))
        .isEqualTo(Duration.ofMillis(20 + 5 + 2 + 4).toNanos());
  }

  @Test
  void aLaterOneIsWhatItCostThisGuestLastTime() {
    new SwitchoverCost(state, "demo").remember(Duration.ofMillis(123).toNanos());
    assertThat(new SwitchoverCost(state, "demo").estimateNanos(5_000, 0, 0))
        .isEqualTo(Duration.ofMillis(123).toNanos());
    assertThat(new SwitchoverCost(state, "other").estimateNanos(0, 0, 0))
        .isEqualTo(Duration.ofMillis(20).toNanos());
  }

  @Test
  void aDamagedFileCountsAsNone() throws IOException {
    Files.writeString(state.resolve("source").resolve("demo.switchover"), "-5");
    assertThat(new SwitchoverCost(state, "demo").estimateNanos(0, 0, 0))
        .isEqualTo(Duration.ofMillis(20).toNanos());
  }
}
