package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class DeltaRuleTest {
  private static final long MANY = DeltaRule.MEANINGFUL_BYTES;

  @Test
  void aFastLinkHasNoNeedOfDeltas() {
    DeltaRule rule = new DeltaRule();
    assertThat(rule.worthwhile()).describedAs("as long as nothing is known").isTrue();
    rule.learn(MANY, 2 * MANY);
    assertThat(rule.worthwhile()).describedAs("at half a byte a nanosecond").isTrue();
    rule.learn(MANY, MANY / 2);
    assertThat(rule.worthwhile()).describedAs("at two bytes a nanosecond").isFalse();
    rule.learn(MANY - 1, 100 * MANY);
    assertThat(rule.worthwhile()).describedAs("after a round that says little").isFalse();
    rule.learn(MANY, MANY * 10 / 9);
    assertThat(rule.worthwhile()).describedAs("when it is a little slower").isFalse();
    rule.learn(MANY, 2 * MANY);
    assertThat(rule.worthwhile()).describedAs("as soon as it is clearly slower again").isTrue();
  }
}
