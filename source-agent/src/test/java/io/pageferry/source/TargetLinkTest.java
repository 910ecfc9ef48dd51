package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.protocol.message.RegionOffer;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class TargetLinkTest {
  @Test
  void aTargetThatGetsNowhereIsWaitedForAsItsGuestIsLarge() {
    List<RegionOffer> small = List.of(new RegionOffer("ram", 512L << 20));
    assertThat(TargetLink.preflight(small)).isLessThan(Duration.ofMinutes(6));
    List<RegionOffer> large =
        List.of(new RegionOffer("low", 128L << 30), new RegionOffer("high", 128L << 30));
    assertThat(TargetLink.preflight(large)).isGreaterThan(Duration.ofMinutes(30));
  }
}
