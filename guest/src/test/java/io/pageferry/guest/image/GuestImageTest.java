package io.pageferry.guest.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.dirty.WriterProcess;
import io.pageferry.guest.image.ImageException.Problem;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GuestImageTest {
  private static final long BYTES = 4 << 20;

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

  private GuestDescription describe(Path... files) throws IOException {
    return Images.describe(disk, List.of(files), 0);
  }

  private static Problem problem(ThrowingCallable call) {
    return Objects.requireNonNull(catchThrowableOfType(ImageException.class, call)).problem();
  }

  private static ByteBuffer pages(int count, int value) {
    byte[] bytes = new byte[count * 4096];
    Arrays.fill(bytes, (byte) value);
    return ByteBuffer.allocateDirect(bytes.length).put(bytes).flip();
  }

  private static List<String> populated(GuestImage image, int region) throws IOException {
    List<String> runs = new ArrayList<>();
    image.populatedRuns(region, (index, first, count) -> runs.add(first + "+" + count));
    return runs;
  }

  private Path place(boolean onTmpfs) {
    return (onTmpfs ? tmpfs : disk).resolve("ram");
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void whatIsWrittenIsReadAndHolesStayHoles(boolean onTmpfs) throws Exception {
    Path file = Images.sparse(place(onTmpfs), BYTES);
    try (GuestImage image = GuestImage.openExisting(describe(file))) {
      image.write(0, 3, pages(2, 7));
      image.write(0, 100, pages(1, 8));
      assertThat(populated(image, 0)).containsExactly("3+2", "100+1");
      ByteBuffer read = ByteBuffer.allocateDirect(6 * 4096);
      image.read(0, 0, read);
      assertThat(read.get(2 * 4096 + 5)).isZero();
      assertThat(read.get(3 * 4096)).isEqualTo((byte) 7);
      assertThat(read.get(5 * 4096)).isZero();
      ByteBuffer onHeap = ByteBuffer.allocate(4096);
      image.read(0, 100, onHeap);
      assertThat(onHeap.get(0)).isEqualTo((byte) 8);

      long taken = image.allocatedBytes();
      ByteBuffer all = ByteBuffer.allocateDirect((int) BYTES);
      image.read(0, 0, all);
      assertThat(image.allocatedBytes()).isEqualTo(taken);

      MemorySegment view = Objects.requireNonNull(image.view(0, 3, 2));
      assertThat(view.get(ValueLayout.JAVA_BYTE, 8191)).isEqualTo((byte) 7);
      assertThat(view.isReadOnly() || image.allocatedBytes() == taken).isTrue();

      image.clear(0, 4, 200);
      assertThat(populated(image, 0)).containsExactly("3+1");
    }
  }

  @Test
  void pagesOutsideTheRegionAreRefused() throws Exception {
    Path file = Images.sparse(tmpfs.resolve("ram"), BYTES);
    try (GuestImage image = GuestImage.openExisting(describe(file))) {
      long pages = BYTES / 4096;
      assertThatThrownBy(() -> image.write(0, pages, pages(1, 1)))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> image.write(0, -1, pages(1, 1)))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> image.read(0, pages - 1, pages(2, 0)))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> image.clear(0, 1, Long.MAX_VALUE / 4096))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> image.write(0, 0, ByteBuffer.allocateDirect(100)))
          .isInstanceOf(IllegalArgumentException.class);
      assertThat(Files.size(file)).isEqualTo(BYTES);
    }
  }

  @Test
  void pagesBeyondFourGiBGoWhereTheyBelong() throws Exception {
    Path file = Images.sparse(tmpfs.resolve("ram"), 6L << 30);
    long page = (5L << 30) / 4096 + 1;
    try (GuestImage image = GuestImage.openExisting(describe(file))) {
      image.write(0, page, pages(1, 9));
      assertThat(populated(image, 0)).containsExactly(page + "+1");
      ByteBuffer read = ByteBuffer.allocateDirect(4096);
      image.read(0, page, read);
      assertThat(read.get(4095)).isEqualTo((byte) 9);
      assertThat(Objects.requireNonNull(image.view(0, page, 1)).get(ValueLayout.JAVA_BYTE, 0))
          .isEqualTo((byte) 9);
    }
  }

  @Test
  void anInterruptedThreadDoesNotHurtTheImage() throws Exception {
    Path file = Images.sparse(tmpfs.resolve("ram"), BYTES);
    try (GuestImage image = GuestImage.openExisting(describe(file))) {
      Thread.currentThread().interrupt();
      image.write(0, 0, pages(1, 5));
      ByteBuffer read = ByteBuffer.allocateDirect(4096);
      image.read(0, 0, read);
      assertThat(Thread.interrupted()).isTrue();
      assertThat(read.get(0)).isEqualTo((byte) 5);
    }
  }

  /** It may be another's turn for minutes, and who is interrupted is not to wait for that. */
  @Test
  void anInterruptedThreadDoesNotWaitForItsTurnToReserve() throws Exception {
    Path file = tmpfs.resolve("ram");
    GuestDescription description = describe(file);
    Thread.currentThread().interrupt();
    assertThatExceptionOfType(ImageException.class)
        .isThrownBy(() -> GuestImage.create(description, List.of(BYTES)).close());
    assertThat(Thread.interrupted()).isTrue();
    assertThat(file).doesNotExist();
  }

  @Test
  void everyReasonNotToOpenHasItsName() throws Exception {
    assertThat(problem(() -> GuestImage.openExisting(describe(tmpfs.resolve("none")))))
        .isEqualTo(Problem.MISSING);
    assertThat(problem(() -> GuestImage.openExisting(describe(Path.of("/none/none")))))
        .isEqualTo(Problem.MISSING);
    assertThat(problem(() -> GuestImage.openExisting(describe(tmpfs))))
        .isEqualTo(Problem.NOT_AN_IMAGE);
    assertThat(problem(() -> GuestImage.openExisting(describe(Path.of("/dev/null")))))
        .isEqualTo(Problem.NOT_AN_IMAGE);
    assertThat(problem(() -> GuestImage.openExisting(describe(Path.of("/proc/1/statm")))))
        .isIn(Problem.NO_PERMISSION, Problem.TOO_SMALL);
    Path odd = Images.sparse(tmpfs.resolve("odd"), 5000);
    assertThat(problem(() -> GuestImage.openExisting(describe(odd))))
        .isEqualTo(Problem.NOT_PAGE_MULTIPLE);
    Path empty = Images.sparse(tmpfs.resolve("empty"), 0);
    assertThat(problem(() -> GuestImage.openExisting(describe(empty))))
        .isEqualTo(Problem.TOO_SMALL);
    Path small = Images.sparse(tmpfs.resolve("small"), 8192);
    GuestDescription larger = Images.describe(disk, List.of(small), 1 << 20);
    assertThat(problem(() -> GuestImage.openExisting(larger))).isEqualTo(Problem.TOO_SMALL);
    GuestDescription smaller = Images.describe(disk, List.of(small), 4096);
    assertThat(problem(() -> GuestImage.openExisting(smaller))).isEqualTo(Problem.NOT_AN_IMAGE);
    Path alias = Files.createSymbolicLink(tmpfs.resolve("alias"), small);
    assertThatThrownBy(() -> GuestImage.openExisting(describe(small, alias)))
        .hasMessageContaining("are the same file");
  }

  @Test
  void oneMigrationAtATimeHoldsAnImage() throws Exception {
    Path file = Images.sparse(tmpfs.resolve("ram"), BYTES);
    Process child;
    try (GuestImage held = GuestImage.openExisting(describe(file))) {
      assertThat(problem(() -> GuestImage.openExisting(describe(file)))).isEqualTo(Problem.LOCKED);
      // A classic POSIX lock would be lost with the first descriptor of the file that closes.
      try (RandomAccessFile other = new RandomAccessFile(file.toFile(), "rw")) {
        assertThat(other.length()).isEqualTo(held.regions().getFirst().bytes());
      }
      assertThat(problem(() -> GuestImage.openExisting(describe(file)))).isEqualTo(Problem.LOCKED);
      child = new ProcessBuilder("sleep", "60").start();
    }
    // Nor may a child that was started meanwhile keep it.
    try (GuestImage again = GuestImage.openExisting(describe(file))) {
      assertThat(again.regions()).hasSize(1);
    } finally {
      child.destroyForcibly().onExit().join();
    }
  }

  @Test
  void aMemfdOfAnotherProcessIsAnImage() throws Exception {
    try (WriterProcess guest = WriterProcess.start(List.of("memfd:" + BYTES));
        GuestImage image = GuestImage.openExisting(describe(guest.memfd()))) {
      guest.tell("write 0 17 3");
      assertThat(populated(image, 0)).containsExactly("17+1");
      assertThat(problem(() -> GuestImage.openExisting(describe(guest.memfd()))))
          .isEqualTo(Problem.LOCKED);
      guest.kill();
      assertThat(problem(() -> GuestImage.openExisting(describe(guest.memfd()))))
          .isEqualTo(Problem.MISSING);
    }
  }

  @Test
  void whatIsReservedIsThereAndReadsAsZeros() throws Exception {
    Path first = tmpfs.resolve("ram0");
    Path second = disk.resolve("ram1");
    GuestDescription guest = describe(first, second);
    try (GuestImage image = GuestImage.create(guest, List.of(BYTES, BYTES))) {
      image.reserve();
      assertThat(image.allocatedBytes()).isGreaterThanOrEqualTo(2 * BYTES);
      assertThat(image.regions()).extracting(ImageRegion::bytes).containsExactly(BYTES, BYTES);
      ByteBuffer read = ByteBuffer.allocateDirect((int) BYTES);
      image.read(0, 0, read);
      assertThat(read.flip().mismatch(ByteBuffer.allocate((int) BYTES))).isEqualTo(-1);
      assertThat(problem(() -> GuestImage.openExisting(guest))).isEqualTo(Problem.LOCKED);
      image.write(0, 1, pages(1, 1));
      image.clear(0, 2, BYTES / 4096 - 2);
      image.clear(1, 0, BYTES / 4096);
      assertThat(image.allocatedBytes()).isLessThan(64 << 10);
      image.deleteFiles();
    }
    assertThat(first).doesNotExist();
    assertThat(second).doesNotExist();
  }

  @Test
  void anotherFileWithTheNameOfAnImageIsNotDeleted() throws Exception {
    Path file = tmpfs.resolve("ram");
    try (GuestImage image = GuestImage.create(describe(file), List.of(BYTES))) {
      Files.move(file, tmpfs.resolve("aside"));
      Files.writeString(file, "another guest");
      image.deleteFiles();
    }
    assertThat(file).hasContent("another guest");
    assertThat(tmpfs.resolve("aside")).exists();
  }

  @Test
  void anOpenedImageIsNeverDeleted() throws Exception {
    Path file = Images.sparse(tmpfs.resolve("ram"), BYTES);
    try (GuestImage image = GuestImage.openExisting(describe(file))) {
      image.deleteFiles();
    }
    assertThat(file).exists();
  }

  @Test
  void everyReasonNotToReserveHasItsNameAndLeavesNothing() throws Exception {
    Path new0 = tmpfs.resolve("new0");
    Path there = Images.sparse(tmpfs.resolve("there"), BYTES);
    assertThat(problem(() -> GuestImage.create(describe(new0, there), List.of(BYTES, BYTES))))
        .isEqualTo(Problem.EXISTS);
    assertThat(Files.size(there)).isEqualTo(BYTES);
    assertThat(problem(() -> GuestImage.create(describe(new0), List.of(5000L))))
        .isEqualTo(Problem.NOT_PAGE_MULTIPLE);
    assertThat(problem(() -> GuestImage.create(describe(new0), List.of(1L << 50))))
        .isIn(Problem.FILE_SYSTEM_FULL, Problem.NO_MEMORY);
    Path nowhere = Path.of("/none/at/all/ram");
    assertThat(problem(() -> GuestImage.create(describe(nowhere), List.of(BYTES))))
        .isEqualTo(Problem.NO_SUCH_DEVICE);
    Path below = there.resolve("ram");
    assertThat(problem(() -> GuestImage.create(describe(below), List.of(BYTES))))
        .isEqualTo(Problem.NO_SUCH_DEVICE);
    assertThat(problem(() -> GuestImage.create(describe(Path.of("/proc/ram")), List.of(BYTES))))
        .isIn(
            Problem.NO_SUCH_DEVICE,
            Problem.MISSING,
            Problem.NO_PERMISSION,
            Problem.FILE_SYSTEM_FULL);
    assertThat(new0).doesNotExist();
  }
}
