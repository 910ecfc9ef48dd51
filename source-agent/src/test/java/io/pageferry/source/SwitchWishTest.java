package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class SwitchWishTest {
  @Test
  void isRefusedUntilItIsAllowed() {
    SwitchWish wish = new SwitchWish();
    assertThat(wish.request()).contains("still being prepared");
    assertThat(wish.wished()).isFalse();
    wish.allow();
    assertThat(wish.request()).isNull();
    assertThat(wish.wished()).isTrue();
  }

  /** Else somebody is told that it will be done, and it is not. */
  @Test
  void whatWasGrantedBeforeTheEndIsSaidAtTheEnd() {
    SwitchWish granted = new SwitchWish();
    granted.allow();
    assertThat(granted.request()).isNull();
    assertThat(granted.close()).isTrue();

    SwitchWish late = new SwitchWish();
    late.allow();
    assertThat(late.close()).isFalse();
    assertThat(late.request()).contains("too late");
    assertThat(late.wished()).isFalse();
  }
}
