package io.pageferry.guest.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Set;
import org.junit.jupiter.api.Test;

class KernelFeaturesTest {
  @Test
  void everyFeatureIsNamedOnceAndExplained() {
    KernelFeatures features = KernelFeatures.probe(Set.of(), Set.of());
    assertThat(features.all()).extracting(Feature::name).doesNotHaveDuplicates().hasSize(13);
    assertThat(features.all()).allSatisfy(feature -> assertThat(feature.detail()).isNotBlank());
  }

  @Test
  void writeTrackingWorksWhereTheKernelIsNewEnoughAndGrantsIt() {
    KernelFeatures features = KernelFeatures.probe(Set.of(), Set.of());
    boolean expected =
        features.has(KernelFeatures.USERFAULTFD)
            && features.has(KernelFeatures.WRITE_PROTECT_ASYNC)
            && features.has(KernelFeatures.PAGEMAP_SCAN);
    assertThat(features.has(KernelFeatures.WRITE_TRACKING)).isEqualTo(expected);
  }

  @Test
  void aFeatureCanBeForcedOffAndAPrecautionLifted() throws Exception {
    KernelFeatures features =
        KernelFeatures.probe(
            Set.of(KernelFeatures.PAGEMAP_SCAN), Set.of(KernelFeatures.HUGE_PAGE_TRACKING));
    assertThat(features.has(KernelFeatures.PAGEMAP_SCAN)).isFalse();
    assertThatThrownBy(() -> features.require(KernelFeatures.PAGEMAP_SCAN))
        .hasMessageContaining("switched off by pageferry.kernel.without");
    features.require(KernelFeatures.HUGE_PAGE_TRACKING);
  }

  @Test
  void versionsAreReadAsDistributionsWriteThem() {
    assertThat(KernelVersion.parse("6.18.44-fc-v657").atLeast(6, 7)).isTrue();
    assertThat(KernelVersion.parse("6.1.0-42-amd64").atLeast(6, 7)).isFalse();
    assertThat(KernelVersion.parse("7.0.0").atLeast(6, 7)).isTrue();
    assertThat(KernelVersion.parse("strange").atLeast(0, 1)).isFalse();
  }
}
