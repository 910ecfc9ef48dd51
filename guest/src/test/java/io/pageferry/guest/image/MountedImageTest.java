package io.pageferry.guest.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.image.ImageException.Problem;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** File systems that the test mounts for itself, where it may. */
class MountedImageTest {
  private static final long HUGE = 2 << 20;
  private static final Path POOL = Path.of("/proc/sys/vm/nr_hugepages");

  @TempDir private Path folder;

  /** A mounted file system; unmounted by close. */
  private record Mount(Path path) implements AutoCloseable {
    static Mount of(Path folder, String kind, String options)
        throws IOException, InterruptedException {
      Path path = Files.createDirectory(folder.resolve(kind + "-" + options.replace(',', '-')));
      assumeTrue(
          run("mount", "-t", kind, "-o", options, "none", path.toString()) == 0,
          "may not mount " + kind);
      return new Mount(path);
    }

    @Override
    public void close() {
      try {
        run("umount", path.toString());
      } catch (IOException | InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  private static int run(String... command) throws IOException, InterruptedException {
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
        .start()
        .waitFor();
  }

  private Problem refusal(List<Path> files, Long... bytes) throws IOException {
    GuestDescription guest = Images.describe(folder, files, 0);
    return Objects.requireNonNull(
            catchThrowableOfType(
                ImageException.class, () -> GuestImage.create(guest, List.of(bytes))))
        .problem();
  }

  @Test
  void aFileSystemThatIsTooSmallIsNamedBeforeAnythingIsMade() throws Exception {
    try (Mount small = Mount.of(folder, "tmpfs", "size=4m")) {
      Path first = small.path().resolve("ram0");
      Path second = small.path().resolve("ram1");
      assertThat(refusal(List.of(first), 8L << 20)).isEqualTo(Problem.FILE_SYSTEM_FULL);
      // Each would fit, both do not.
      assertThat(refusal(List.of(first, second), 3L << 20, 3L << 20))
          .isEqualTo(Problem.FILE_SYSTEM_FULL);
      assertThat(first).doesNotExist();
      assertThat(second).doesNotExist();
      GuestDescription guest = Images.describe(folder, List.of(first), 0);
      try (GuestImage image = GuestImage.create(guest, List.of(3L << 20))) {
        image.reserve();
        assertThat(image.allocatedBytes()).isEqualTo(3 << 20);
        assertThat(refusal(List.of(second), 3L << 20)).isEqualTo(Problem.FILE_SYSTEM_FULL);
        image.deleteFiles();
      }
    }
  }

  /** Nothing of it is taken: pages that have not come yet have to be missing. */
  @Test
  void whatOneGuestWasPromisedAnotherIsNot() throws Exception {
    try (Mount small = Mount.of(folder, "tmpfs", "size=8m")) {
      Path first = small.path().resolve("ram0");
      Path second = small.path().resolve("ram1");
      GuestDescription guest = Images.describe(folder, List.of(first), 0);
      try (GuestImage image = GuestImage.create(guest, List.of(6L << 20))) {
        assertThat(image.allocatedBytes()).isZero();
        assertThat(refusal(List.of(second), 4L << 20)).isEqualTo(Problem.FILE_SYSTEM_FULL);
        image.write(0, 0, ByteBuffer.allocateDirect(3 << 20));
        assertThat(refusal(List.of(second), 4L << 20)).isEqualTo(Problem.FILE_SYSTEM_FULL);
        GuestDescription other = Images.describe(folder, List.of(second), 0);
        try (GuestImage beside = GuestImage.create(other, List.of(2L << 20))) {
          beside.reserve();
          beside.clear(0, 0, 512);
          assertThat(beside.allocatedBytes()).isZero();
          assertThat(refusal(List.of(small.path().resolve("ram2")), 1L << 20))
              .as("a reserved page that became a hole may be wanted again")
              .isEqualTo(Problem.FILE_SYSTEM_FULL);
          beside.deleteFiles();
        }
        image.deleteFiles();
      }
      GuestDescription later = Images.describe(folder, List.of(second), 0);
      try (GuestImage image = GuestImage.create(later, List.of(7L << 20))) {
        image.reserve();
        assertThat(image.allocatedBytes()).isEqualTo(7 << 20);
        image.deleteFiles();
      }
    }
  }

  @Test
  void aTmpfsLargerThanTheHostsMemoryPromisesNothing() throws Exception {
    try (Mount large = Mount.of(folder, "tmpfs", "size=100000g")) {
      Path file = large.path().resolve("ram");
      assertThat(refusal(List.of(file), 90_000L << 30)).isEqualTo(Problem.NO_MEMORY);
      assertThat(file).doesNotExist();
    }
  }

  @Test
  void aReadOnlyFileSystemIsNoPermission() throws Exception {
    try (Mount readOnly = Mount.of(folder, "tmpfs", "ro,size=16m")) {
      assertThat(refusal(List.of(readOnly.path().resolve("ram")), 1L << 20))
          .isEqualTo(Problem.NO_PERMISSION);
    }
  }

  @Test
  void hugePagesAreReservedMappedAndCleared() throws Exception {
    assumeTrue(Files.isWritable(POOL), "may not reserve huge pages");
    try (HugePagePool _ = HugePagePool.take()) {
      String before = Files.readString(POOL).strip();
      Files.writeString(POOL, Long.toString(Long.parseLong(before) + 4));
      try {
        mapAndClearHugePages();
      } finally {
        Files.writeString(POOL, before);
      }
    }
  }

  private void mapAndClearHugePages() throws Exception {
    try (Mount huge = Mount.of(folder, "hugetlbfs", "pagesize=2M")) {
      Path file = huge.path().resolve("ram");
      assertThat(refusal(List.of(file), 3L << 20)).isEqualTo(Problem.NOT_PAGE_MULTIPLE);
      assertThat(refusal(List.of(file), 1L << 40)).isEqualTo(Problem.NO_MEMORY);
      GuestDescription guest = Images.describe(folder, List.of(file), 0);
      try (GuestImage image = GuestImage.create(guest, List.of(4 * HUGE))) {
        image.reserve();
        assertThat(image.regions().getFirst().pageSize()).isEqualTo((int) HUGE);
        ByteBuffer page = ByteBuffer.allocateDirect(4096).put(7, (byte) 7);
        image.write(0, 700, page);
        image.write(0, 701, page.clear());
        image.clear(0, 701, 1);
        image.clear(0, 1024, 512);
        ByteBuffer read = ByteBuffer.allocateDirect(8192);
        image.read(0, 700, read);
        assertThat(read.get(7)).isEqualTo((byte) 7);
        assertThat(read.get(4096 + 7)).isZero();
        assertThat(image.allocatedBytes()).isEqualTo(3 * HUGE);
        assertThat(image.view(0, 0, 1)).isNull();
        image.deleteFiles();
      }
    }
  }
}
