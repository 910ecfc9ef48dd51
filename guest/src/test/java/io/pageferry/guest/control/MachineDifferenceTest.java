package io.pageferry.guest.control;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class MachineDifferenceTest {
  private static final List<String> SOURCE =
      List.of("machine type pc-i440fx-7.2", "device virtio-net-pci (net0)");

  @Test
  void theSameMachinesDoNotDiffer() {
    assertThat(MachineDifference.between(SOURCE, List.copyOf(SOURCE))).isEmpty();
  }

  @Test
  void eachSideIsToldWhatOnlyItHas() {
    assertThat(
            MachineDifference.between(
                SOURCE, List.of("machine type pc-i440fx-7.1", "device virtio-net-pci (net0)")))
        .hasValueSatisfying(
            sentence ->
                assertThat(sentence)
                    .contains("only the source's has machine type pc-i440fx-7.2")
                    .contains("only the target's has machine type pc-i440fx-7.1")
                    .doesNotContain("net0"));
  }

  @Test
  void oneOfTwoEqualDevicesIsMissed() {
    List<String> two = List.of("device virtio-rng-pci", "device virtio-rng-pci");
    assertThat(MachineDifference.between(two, two.subList(0, 1)))
        .hasValueSatisfying(
            sentence ->
                assertThat(sentence)
                    .contains("only the source's has device virtio-rng-pci")
                    .doesNotContain("target's has"));
  }
}
