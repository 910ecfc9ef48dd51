package io.pageferry.integration.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

/** The formulas, worked out by hand for 8192 pages at 32 MiB/s and half a millisecond a fault. */
final class PostCopyModelTest {
  private static final int PAGES = 8192;

  private final PostCopyModel model = new PostCopyModel(32 << 20, 0.0005);

  @Test
  void everyPageCostsAFaultWithoutAPush() {
    assertThat(model.faults(PAGES, 0)).isEqualTo(PAGES);
    assertThat(model.resumeMillis(PAGES, 0)).isCloseTo(4096 + 1000, within(0.001));
  }

  @Test
  void pagesThatComeAlongCostTheirBytesOnly() {
    assertThat(model.faults(PAGES, 15)).isEqualTo(512);
    assertThat(model.resumeMillis(PAGES, 15)).isCloseTo(256 + 1000, within(0.001));
  }

  @Test
  void theGuestStandsStillForWhatHasToMoveFirst() {
    assertThat(model.downtimeMillis(32 << 10)).isCloseTo(0.9766, within(0.001));
  }
}
