package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pageferry.agent.cli.CommandFailure;
import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A guest that came by post-copy and whose target agent was killed. */
class LackingPagesTest {
  private static final UUID CAME_BY = new UUID(7, 7);

  @TempDir private Path state;

  private OwnershipLedger arrived(boolean postcopy) throws Exception {
    LedgerFields fields = LedgerFields.of("demo", "far").withImages(List.of("/images/demo"));
    OwnershipLedger ledger =
        OwnershipLedger.create(
            state,
            LedgerSide.TARGET,
            CAME_BY,
            postcopy ? fields.with(LedgerFields.POSTCOPY, "true") : fields);
    ledger.record(LedgerState.PREPARED);
    ledger.record(LedgerState.TAKEN_OVER);
    return ledger;
  }

  @Test
  void aGuestWhosePagesAreElsewhereStays() throws Exception {
    try (OwnershipLedger ledger = arrived(true)) {
      assertThatThrownBy(() -> LackingPages.refuse(state, "demo", List.of("/images/renamed")))
          .isInstanceOfSatisfying(
              CommandFailure.class,
              refused ->
                  assertThat(refused.sentence())
                      .contains("'far'", "nothing was changed", CAME_BY.toString()));
      assertThatThrownBy(() -> LackingPages.refuse(state, "renamed", List.of("/images/demo")))
          .isInstanceOf(CommandFailure.class);
      assertThatCode(() -> LackingPages.refuse(state, "other", List.of("/images/other")))
          .doesNotThrowAnyException();
      ledger.update(ledger.fields().with(LedgerFields.FETCHED, "true"));
      assertThatCode(() -> LackingPages.refuse(state, "demo", List.of("/images/demo")))
          .doesNotThrowAnyException();
    }
  }

  @Test
  void aGuestThatCameWithItsPagesMayGo() throws Exception {
    try (OwnershipLedger ledger = arrived(false)) {
      assertThatCode(() -> LackingPages.refuse(state, ledger.fields().guest(), List.of()))
          .doesNotThrowAnyException();
    }
  }
}
