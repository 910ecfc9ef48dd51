package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.protocol.message.PageSpan;
import io.pageferry.protocol.page.PageRuns;
import java.util.List;
import org.junit.jupiter.api.Test;

class ZeroSpansTest {
  private final ZeroSpans zeros = new ZeroSpans(3);

  private void add(long firstPage, int count) {
    assertThat(zeros.takes(PageRuns.of(0, firstPage, count))).isTrue();
    zeros.add(0, firstPage, count);
  }

  @Test
  void neighboursBecomeOneSpan() {
    add(10, 64);
    add(74, 64);
    add(200, 1);
    assertThat(zeros.pages()).isEqualTo(129);
    assertThat(zeros.drain()).containsExactly(new PageSpan(10, 128), new PageSpan(200, 1));
    assertThat(zeros.pages()).isZero();
    assertThat(zeros.drain()).isEqualTo(List.of());
  }

  @Test
  void whatAFrameCannotHoldIsNotTaken() {
    add(10, 64);
    assertThat(zeros.takes(PageRuns.of(1, 74, 64))).describedAs("another region").isFalse();
    assertThat(zeros.takes(PageRuns.of(0, 5, 1))).describedAs("descending").isFalse();
    assertThat(zeros.takes(PageRuns.of(0, 74, 10_000))).describedAs("too many pages").isFalse();
    add(100, 1);
    add(200, 1);
    assertThat(zeros.takes(PageRuns.of(0, 300, 1))).describedAs("a fourth span").isFalse();
    zeros.drain();
    assertThat(zeros.takes(PageRuns.of(1, 0, 10_000))).isTrue();
  }
}
