package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.protocol.message.MigrationMode;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What an agent that takes a migration up learns of its beginning. */
@Timeout(60)
final class MigrationFieldsTest {
  private static final LedgerFields NONE = LedgerFields.of("demo", "target:1");

  @ParameterizedTest
  @EnumSource(MigrationMode.class)
  void theModeIsTheOneThatWasAskedFor(MigrationMode mode) {
    assertThat(MigrationFields.mode(MigrationFields.withMode(NONE, mode))).isEqualTo(mode);
  }

  @Test
  void aLedgerIsReadThatAnotherVersionWrote() {
    assertThat(MigrationFields.mode(NONE.with("mode", "hybrid"))).isEqualTo(MigrationMode.HYBRID);
    assertThat(MigrationFields.mode(NONE)).isEqualTo(MigrationMode.POSTCOPY);
    assertThat(MigrationFields.peerName(NONE.with("peerName", "far"))).isEqualTo("far");
    assertThat(MigrationFields.peerName(NONE)).isEmpty();
  }
}
