package io.pageferry.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

class ProgressLineTest {
  private static final long MIB = 1 << 20;

  private final ByteArrayOutputStream written = new ByteArrayOutputStream();
  private long now = 1_000;

  private ProgressLine line(boolean terminal, boolean quiet) {
    PrintStream out = new PrintStream(written, true, StandardCharsets.UTF_8);
    return new ProgressLine(out, terminal, quiet, () -> now);
  }

  private void pass(long millis) {
    now += millis * 1_000_000;
  }

  private static ProgressSample sample(double secondsLeft) {
    return new ProgressSample(
        2, 128 * MIB, 512 * MIB, 200_000_000, 20_000_000, 384 * MIB, -1, secondsLeft);
  }

  private List<String> lines() {
    return written.toString(StandardCharsets.UTF_8).lines().toList();
  }

  @Test
  void offATerminalThereIsAPlainLineNowAndThen() {
    try (ProgressLine line = line(false, false)) {
      line.phase("pre-copy");
      for (int i = 0; i < 120; i++) {
        line.update(sample(12));
        pass(100);
      }
    }
    assertThat(lines()).hasSize(3);
    assertThat(lines().get(0))
        .isEqualTo(
            "pre-copy  round 2  25%  200 MB/s  dirtied 20 MB/s  remaining 384 MiB  12 s left");
  }

  @Test
  void offATerminalPhasesOfMillisecondsShareALine() {
    try (ProgressLine line = line(false, false)) {
      for (int i = 0; i < 60; i++) {
        line.phase("phase " + i);
        line.update(sample(1));
        pass(100);
      }
    }
    assertThat(lines()).hasSize(2);
  }

  @Test
  void onATerminalOneLineIsRewrittenForEachPhase() {
    try (ProgressLine line = line(true, false)) {
      line.phase("pre-copy");
      line.update(sample(3));
      pass(200);
      line.update(sample(2));
      line.phase("switchover");
      line.update(sample(1));
    }
    String all = written.toString(StandardCharsets.UTF_8);
    assertThat(all.split("\n", -1)).hasSize(3);
    assertThat(all.split("\r", -1)).hasSize(4);
    assertThat(all)
        .contains("\r\u001b[2Kpre-copy")
        .contains("\r\u001b[2Kswitchover")
        .endsWith("\n");
  }

  @Test
  void theTimeLeftNeverRunsBackwards() {
    try (ProgressLine line = line(false, false)) {
      line.phase("pre-copy");
      for (double estimate : new double[] {30, 35, 22, 8, 3.5}) {
        line.update(sample(estimate));
        pass(5000);
      }
    }
    assertThat(lines().stream().map(each -> each.replaceAll(".*MiB  | left", "")))
        .containsExactly("30 s", "25 s", "20 s", "8.0 s", "3.0 s");
  }

  @Test
  void aTimeLeftThatIsNotTrueAnyMoreIsNotShown() {
    try (ProgressLine line = line(false, false)) {
      line.phase("pre-copy");
      for (double estimate : new double[] {8, 200, 150, -1, 11, 6, -1, 3.5, 0.5}) {
        line.update(sample(estimate));
        pass(5000);
      }
    }
    assertThat(lines().stream().map(each -> each.replaceAll(".*MiB(  )?| left", "")))
        .containsExactly("8.0 s", "", "", "", "8.0 s", "", "", "3.5 s", "0.0 s");
  }

  @Test
  void whatTheNetworkAnswersIsShownWhereItDoes() {
    try (ProgressLine line = line(false, false)) {
      line.phase("post-copy");
      line.update(new ProgressSample(0, 0, 512 * MIB, 200_000_000, -1, 384 * MIB, 210, 2));
    }
    assertThat(lines())
        .containsExactly("post-copy  0%  200 MB/s  remaining 384 MiB  210 faults/s  2.0 s left");
  }

  @Test
  void quietIsQuiet() {
    try (ProgressLine line = line(true, true)) {
      line.phase("pre-copy");
      line.update(sample(1));
    }
    assertThat(written.size()).isZero();
  }
}
