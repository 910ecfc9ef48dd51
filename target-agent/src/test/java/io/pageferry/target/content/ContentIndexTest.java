package io.pageferry.target.content;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ContentIndexTest {
  private static final int MANY = 1 << 14;

  @TempDir private Path folder;
  private PageFile file;
  private PageFile other;
  private final ContentIndex.Places places = new ContentIndex.Places();

  @BeforeEach
  void makeFiles() throws IOException {
    file = PageFile.at(Files.createFile(folder.resolve("file")), false);
    other = PageFile.at(Files.createFile(folder.resolve("other")), false);
  }

  private long pageOf(ContentIndex index, long key) {
    index.find(key, places);
    return places.count == 0 ? -1 : places.page[0];
  }

  @Test
  void whatIsPutInLastIsFound() {
    ContentIndex index = new ContentIndex(1 << 10);
    assertThat(index.add(file)).isTrue();
    assertThat(index.add(other)).isTrue();
    assertThat(pageOf(index, 7)).isEqualTo(-1);
    index.put(7, file, 0);
    assertThat(pageOf(index, 7)).isZero();
    long last = (1L << 34) - 1;
    index.put(7, other, last);
    assertThat(pageOf(index, 7)).isEqualTo(last);
    assertThat(places.count).isEqualTo(1);
    assertThat(places.file[0]).isSameAs(other);
  }

  @Test
  void ofAFileThatIsGoneNothingIsFound() {
    ContentIndex index = new ContentIndex(1 << 10);
    index.add(file);
    index.add(other);
    index.put(7, file, 3);
    index.put(8, other, 4);
    index.removeIf(file::equals);
    assertThat(pageOf(index, 7)).isEqualTo(-1);
    assertThat(pageOf(index, 8)).isEqualTo(4);
    index.put(9, file, 5);
    assertThat(pageOf(index, 9)).as("it is not among the files").isEqualTo(-1);
    index.removeIf(other::equals);
    assertThat(index.isEmpty()).isTrue();
  }

  @Test
  void itGrowsAndLosesNextToNothing() {
    ContentIndex index = new ContentIndex(1 << 20);
    index.add(file);
    Random random = new Random(1);
    for (int page = 0; page < MANY; page++) {
      index.put(random.nextLong(), file, page);
    }
    Random again = new Random(1);
    int left = 0;
    for (int page = 0; page < MANY; page++) {
      left += pageOf(index, again.nextLong()) == page ? 1 : 0;
    }
    assertThat(left).isGreaterThan(MANY * 98 / 100);
  }

  @Test
  void beyondItsBoundTheNewerStayInsteadOfOlderOnes() {
    ContentIndex index = new ContentIndex(1 << 10);
    index.add(file);
    Random random = new Random(1);
    for (int page = 0; page < MANY; page++) {
      long key = random.nextLong();
      index.put(key, file, page);
      assertThat(pageOf(index, key)).isEqualTo(page);
    }
    Random again = new Random(1);
    int left = 0;
    for (int page = 0; page < MANY; page++) {
      left += pageOf(index, again.nextLong()) == page ? 1 : 0;
    }
    assertThat(left).isBetween(1, 1 << 10);
  }

  /** Digests that agree in all that chooses the bucket. */
  @Test
  void aBucketThatIsFullGivesWay() {
    ContentIndex index = new ContentIndex(1 << 10);
    index.add(file);
    for (int page = 0; page < 20; page++) {
      index.put((long) page << 40, file, page);
      assertThat(pageOf(index, (long) page << 40)).isEqualTo(page);
    }
  }
}
