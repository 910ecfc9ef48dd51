package io.pageferry.guest.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PopulatedRunsTest {
  private static final int PAGES = 2048;

  @TempDir private Path disk;
  private Path tmpfs = Path.of("");

  @BeforeEach
  void folder() throws IOException {
    tmpfs = Images.tmpfsFolder();
  }

  @AfterEach
  void removeFolder() throws IOException {
    Images.deleteFolder(tmpfs);
  }

  private GuestImage image(Path file) throws IOException {
    return GuestImage.openExisting(Images.describe(disk, List.of(file), 0));
  }

  @ParameterizedTest(name = "seed {0}")
  @ValueSource(longs = {1, 2, 3})
  void piecesAreToldWhatTheWholeIs(long seed) throws Exception {
    Random random = new Random(seed);
    Path file = Images.sparse((seed == 1 ? disk : tmpfs).resolve("ram"), PAGES * 4096L);
    try (GuestImage image = image(file)) {
      BitSet content = new BitSet();
      for (int page = random.nextInt(5); page < PAGES; page += 1 + random.nextInt(20)) {
        int count = Math.min(PAGES - page, 1 + random.nextInt(6));
        image.write(0, page, ByteBuffer.allocateDirect(count * 4096));
        content.set(page, page + count);
        page += count;
      }
      PopulatedRuns runs = image.populatedRuns(0);
      BitSet told = new BitSet();
      BitSet asked = new BitSet();
      for (int page = 0; page < PAGES; page += random.nextInt(8)) {
        int count = Math.min(PAGES - page, 1 + random.nextInt(30));
        int first = page;
        runs.within(
            first,
            count,
            (region, from, length) -> {
              assertThat(from).isGreaterThanOrEqualTo(first);
              assertThat(from + length).isLessThanOrEqualTo(first + count);
              told.set((int) from, (int) (from + length));
            });
        asked.set(first, first + count);
        page += count;
      }
      content.and(asked);
      assertThat(told).isEqualTo(content);
    }
  }

  /** Asking the kernel for each of these pieces anew takes some twenty seconds and more. */
  @Test
  @Timeout(value = 10, threadMode = ThreadMode.SEPARATE_THREAD)
  void aFullFileIsLookedThroughOnceHoweverManyPiecesAreAsked() throws Exception {
    int pages = 65_536;
    Path file = Images.sparse(tmpfs.resolve("ram"), pages * 4096L);
    try (GuestImage image = image(file)) {
      ByteBuffer some = ByteBuffer.allocateDirect(256 * 4096);
      for (int page = 0; page < pages; page += 256) {
        image.write(0, page, some.clear());
      }
      AtomicLong found = new AtomicLong();
      PopulatedRuns runs = image.populatedRuns(0);
      for (int page = 0; page < pages; page++) {
        runs.within(page, 1, (region, first, count) -> found.addAndGet(count));
      }
      assertThat(found).hasValue(pages);
    }
  }
}
