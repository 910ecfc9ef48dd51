package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;

import io.pageferry.guest.image.GuestImage;
import io.pageferry.protocol.message.Comparison;
import io.pageferry.protocol.message.MigrationMode;
import io.pageferry.protocol.message.Settled;
import io.pageferry.protocol.page.Digest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Whether a guest that runs on the target has there what is here. */
@Timeout(60)
final class SentMemoryTest {
  private static final Digest NOTHING = new Digest(0, 0);

  @TempDir private Path folder;
  private GuestImage image;

  @BeforeEach
  void aPageThatWasNeverSent() throws Exception {
    byte[] memory = new byte[16 * 4096];
    memory[4096] = 1;
    Path ram = Files.write(folder.resolve("ram"), memory);
    image = OneRegionImage.open(ram);
  }

  @AfterEach
  void close() {
    image.close();
  }

  private SentMemory sent(boolean verifyFull) {
    SentMemory memory =
        new SentMemory(
            verifyFull, new MigrationJournal(new UUID(1, 1), MigrationMode.POSTCOPY, "test"));
    memory.begin(image);
    return memory;
  }

  @Test
  void aWriteThatWasMissedIsFoundByRereading() throws Exception {
    try (SentMemory memory = sent(true)) {
      assertThat(memory.whole(image)).isEqualTo(ImageReread.digest(image)).isNotEqualTo(NOTHING);
      assertThat(memory.differs()).isTrue();
    }
  }

  @Test
  void withoutRereadingWhatWasSentIsBelieved() throws Exception {
    try (SentMemory memory = sent(false)) {
      assertThat(memory.whole(image)).isEqualTo(NOTHING);
      assertThat(memory.differs()).isFalse();
    }
  }

  @ParameterizedTest
  @EnumSource(Comparison.class)
  void theTargetsComparisonCounts(Comparison comparison) {
    try (SentMemory memory = sent(false)) {
      memory.settled(new Settled(0, 0, comparison, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
      assertThat(memory.differs()).isEqualTo(comparison == Comparison.DIFFERENT);
    }
  }
}
