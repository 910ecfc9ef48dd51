package io.pageferry.agent.ledger;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.EnumSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class LedgerStateTest {
  private static Set<LedgerState> reachable(LedgerSide side) {
    Set<LedgerState> seen = EnumSet.of(side.first());
    Deque<LedgerState> open = new ArrayDeque<>(seen);
    while (!open.isEmpty()) {
      LedgerState at = open.pop();
      for (LedgerState next : LedgerState.values()) {
        if (at.mayBecome(next, side) && seen.add(next)) {
          open.push(next);
        }
      }
    }
    return seen;
  }

  @Test
  void eachSideReachesItsOwnStatesOnly() {
    assertThat(reachable(LedgerSide.SOURCE))
        .containsExactlyInAnyOrder(
            LedgerState.PLANNED,
            LedgerState.STREAMING,
            LedgerState.PAUSED,
            LedgerState.HANDED_OVER,
            LedgerState.SERVING,
            LedgerState.RECLAIMED,
            LedgerState.FAILED,
            LedgerState.COMPLETED);
    assertThat(reachable(LedgerSide.TARGET))
        .containsExactlyInAnyOrder(
            LedgerState.RECEIVING,
            LedgerState.PREPARED,
            LedgerState.TAKEN_OVER,
            LedgerState.ABANDONED,
            LedgerState.COMPLETED);
  }

  @ParameterizedTest
  @EnumSource(LedgerSide.class)
  void exactlyTheFinalStatesLeadNowhere(LedgerSide side) {
    for (LedgerState at : reachable(side)) {
      boolean leads = false;
      for (LedgerState next : LedgerState.values()) {
        leads |= at.mayBecome(next, side);
      }
      assertThat(leads).as("%s", at).isEqualTo(!at.isFinal());
    }
  }

  @Test
  void afterTheHandoverOnlyTheTargetsAnswerLeadsOn() {
    for (LedgerState next : LedgerState.values()) {
      assertThat(LedgerState.HANDED_OVER.mayBecome(next, LedgerSide.SOURCE))
          .isEqualTo(
              next == LedgerState.SERVING
                  || next == LedgerState.COMPLETED
                  || next == LedgerState.RECLAIMED);
    }
  }

  @Test
  void aGuestWhosePagesAreServedMovesOnOrIsTakenBackByItsUser() {
    for (LedgerState next : LedgerState.values()) {
      assertThat(LedgerState.SERVING.mayBecome(next, LedgerSide.SOURCE))
          .isEqualTo(next == LedgerState.COMPLETED || next == LedgerState.RECLAIMED);
    }
  }

  @Test
  void aGuestThatWasTakenOverIsGivenBackOrStays() {
    for (LedgerState next : LedgerState.values()) {
      assertThat(LedgerState.TAKEN_OVER.mayBecome(next, LedgerSide.TARGET))
          .isEqualTo(next == LedgerState.COMPLETED || next == LedgerState.ABANDONED);
    }
  }

  @Test
  void aTargetThatAbandonedNeverTakesOver() {
    for (LedgerState next : LedgerState.values()) {
      assertThat(LedgerState.ABANDONED.mayBecome(next, LedgerSide.TARGET)).isFalse();
    }
  }
}
