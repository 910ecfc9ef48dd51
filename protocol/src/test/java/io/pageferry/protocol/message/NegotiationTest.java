package io.pageferry.protocol.message;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pageferry.protocol.frame.ProtocolException;
import org.junit.jupiter.api.Test;

class NegotiationTest {
  @Test
  void theHighestCommonVersionIsChosen() throws ProtocolException {
    assertThat(new VersionRange(1, 2).choose(new VersionRange(2, 3))).isEqualTo(2);
    assertThat(new VersionRange(3, 4).choose(new VersionRange(2, 3))).isEqualTo(3);
    assertThat(new VersionRange(1, 1).choose(new VersionRange(1, 1))).isEqualTo(1);
  }

  @Test
  void versionsWithNothingInCommonAreRefused() {
    assertThatThrownBy(() -> new VersionRange(1, 2).choose(new VersionRange(3, 4)))
        .isInstanceOfSatisfying(
            ProtocolException.class,
            e -> assertThat(e.reason()).isEqualTo(AbortReason.VERSION_MISMATCH))
        .hasMessage("this side speaks protocol versions 1 to 2, the other 3 to 4");
    assertThatThrownBy(() -> new VersionRange(3, 4).choose(new VersionRange(1, 2)))
        .isInstanceOf(ProtocolException.class);
  }

  @Test
  void whatHoldsIsWhatBothHave() {
    Capabilities later = new Capabilities(Capabilities.LZ4 | 1L << 62 | 1L << 63);
    assertThat(Capabilities.CURRENT.intersect(later).bits()).isEqualTo(Capabilities.LZ4);
    assertThat(Capabilities.CURRENT.has(Capabilities.ZERO_RUNS | Capabilities.LZ4)).isTrue();
    assertThat(Capabilities.CURRENT.has(Capabilities.LZ4 | 1L << 62)).isFalse();
    assertThat(Capabilities.CURRENT.has(Capabilities.ZSTD))
        .describedAs("the library is there where the tests run")
        .isTrue();
    assertThat(new Limits(1 << 20, 2, 1024).intersect(new Limits(1 << 16, 16, 100)))
        .isEqualTo(new Limits(1 << 16, 2, 100));
  }

  @Test
  void codesAreUniqueAndNeverZero() {
    for (AbortReason reason : AbortReason.values()) {
      assertThat(AbortReason.of(reason.code())).isEqualTo(reason);
    }
    assertThat(AbortReason.GUEST_UNKNOWN.refusal()).isTrue();
    assertThat(AbortReason.DIGEST_MISMATCH.refusal()).isFalse();
    for (ChannelRole role : ChannelRole.values()) {
      assertThat(ChannelRole.of(role.code())).isEqualTo(role);
    }
    for (MigrationMode mode : MigrationMode.values()) {
      assertThat(MigrationMode.of(mode.code())).isEqualTo(mode);
    }
    for (OwnershipState state : OwnershipState.values()) {
      assertThat(OwnershipState.of(state.code())).isEqualTo(state);
    }
  }
}
