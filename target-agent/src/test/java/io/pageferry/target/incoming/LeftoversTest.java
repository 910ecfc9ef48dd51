package io.pageferry.target.incoming;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.agent.ledger.LedgerFields;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.LedgerState;
import io.pageferry.agent.ledger.OwnershipLedger;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(180)
class LeftoversTest {
  @TempDir Path folder;
  private final UUID stale = UUID.randomUUID();
  private final Instant begun = Instant.now();
  private Path image = Path.of("");
  private Path qmp = Path.of("");

  @BeforeEach
  void anImageIsLeft() throws Exception {
    image = Files.writeString(folder.resolve("ram"), "memory");
    qmp = folder.resolve("qmp.sock");
  }

  private LedgerFields fields(Instant at) {
    return LedgerFields.of("alpha", "sender")
        .withImages(List.of(image.toString()))
        .with(TargetLedger.QMP, qmp.toString())
        .with(TargetLedger.BEGUN, at.toString())
        .with(TargetLedger.IMAGE_MADE_HERE, "true");
  }

  private boolean remove() throws Exception {
    return Leftovers.remove(
        stale, fields(begun), OwnershipLedger.list(folder, LedgerSide.TARGET).entries());
  }

  @Test
  void whatNobodyElseHasIsRemoved() throws Exception {
    OwnershipLedger.create(folder, LedgerSide.TARGET, stale, fields(begun)).close();
    OwnershipLedger.create(
            folder, LedgerSide.TARGET, UUID.randomUUID(), fields(begun.minusSeconds(60)))
        .close();
    assertThat(remove()).isTrue();
    assertThat(image).doesNotExist();
  }

  @Test
  void theImageOfALaterMigrationStaysUntilThatIsAbandonedAndRemoved() throws Exception {
    UUID id = UUID.randomUUID();
    try (OwnershipLedger later =
        OwnershipLedger.create(folder, LedgerSide.TARGET, id, fields(begun.plusSeconds(60)))) {
      assertThat(remove()).isTrue();
      assertThat(image).exists();
      later.record(LedgerState.ABANDONED);
      assertThat(remove()).isTrue();
      assertThat(image).exists();
      later.update(later.fields().with(TargetLedger.CLEANED, "true"));
      assertThat(remove()).isTrue();
      assertThat(image).doesNotExist();
    }
  }

  @Test
  void theImageStaysWhereAnotherGuestAnswers() throws Exception {
    try (ServerSocketChannel guest = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      guest.bind(UnixDomainSocketAddress.of(qmp));
      assertThat(remove()).isTrue();
      assertThat(image).exists();
      assertThat(qmp).exists();
    }
    assertThat(remove()).isTrue();
    assertThat(image).doesNotExist();
    assertThat(qmp).doesNotExist();
  }
}
