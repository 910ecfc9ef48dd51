package io.pageferry.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.protocol.channel.PeerIdentity;
import io.pageferry.protocol.message.OwnershipState;
import io.pageferry.target.incoming.TargetLedger;
import io.pageferry.target.recovery.OwnershipDesk;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What is answered of a guest that was taken over, while nobody here looks after it. */
@Timeout(60)
class OwnershipDeskTest {
  @TempDir Path folder;
  private final UUID migration = UUID.randomUUID();
  private final PeerIdentity source =
      new PeerIdentity("east", new byte[0], "TLSv1.3", "X25519", new InetSocketAddress(0));
  private final List<UUID> takenUp = new ArrayList<>();
  private OwnershipDesk desk;

  @BeforeEach
  void setUp() {
    desk = new OwnershipDesk(folder, new Receptions(1), takenUp::add);
  }

  private OwnershipState answered(String... set) throws Exception {
    LedgerFields fields = LedgerFields.of("alpha", "east").withImages(List.of());
    try (OwnershipLedger ledger =
        OwnershipLedger.create(folder, LedgerSide.TARGET, migration, fields)) {
      ledger.record(LedgerState.PREPARED);
      ledger.record(LedgerState.TAKEN_OVER);
      for (String field : set) {
        ledger.update(ledger.fields().with(field, "true"));
      }
    }
    return desk.query(migration, source);
  }

  /** RUNNING would have the source end its copy, and the only one of these pages. */
  @Test
  void oneThatRunsAndLacksPagesIsFetching() throws Exception {
    assertThat(answered(TargetLedger.POSTCOPY, TargetLedger.STARTED))
        .isEqualTo(OwnershipState.FETCHING);
  }

  @Test
  void oneThatLacksPagesAndWasNotStartedMayYetBeGivenBack() throws Exception {
    assertThat(answered(TargetLedger.POSTCOPY)).isEqualTo(OwnershipState.TAKEN_OVER);
  }

  @Test
  void oneThatRunsWithAllOfItsPagesIsRunning() throws Exception {
    assertThat(answered(TargetLedger.POSTCOPY, TargetLedger.STARTED, TargetLedger.FETCHED))
        .isEqualTo(OwnershipState.RUNNING);
  }

  @Test
  void oneThatWasTakenOverIsNotReclaimed() throws Exception {
    assertThat(answered()).isEqualTo(OwnershipState.TAKEN_OVER);
    assertThat(desk.reclaim(migration, source)).isEqualTo(OwnershipState.TAKEN_OVER);
    assertThat(OwnershipLedger.read(folder, LedgerSide.TARGET, migration).state())
        .isEqualTo(LedgerState.TAKEN_OVER);
  }

  @Test
  void whoeverAsksAfterAGuestThatIsNobodysCareHasItTakenUp() throws Exception {
    answered(TargetLedger.POSTCOPY);
    assertThat(takenUp).containsExactly(migration);
    desk.authoriseResume(migration, source);
    assertThat(takenUp).containsExactly(migration, migration);
  }

  @Test
  void aGuestWithAllOfItsPagesIsNotTakenUp() throws Exception {
    answered(TargetLedger.POSTCOPY, TargetLedger.FETCHED);
    assertThat(takenUp).isEmpty();
  }

  @Test
  void nobodyElseHasAGuestTakenUp() throws Exception {
    answered(TargetLedger.POSTCOPY);
    takenUp.clear();
    PeerIdentity another =
        new PeerIdentity("west", new byte[0], "TLSv1.3", "X25519", new InetSocketAddress(0));
    assertThatThrownBy(() -> desk.query(migration, another)).isInstanceOf(MigrationAborted.class);
    assertThat(takenUp).isEmpty();
  }
}
