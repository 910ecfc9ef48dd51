package io.pageferry.target.incoming;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.image.GuestImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class ReservedMemoryTest {
  private static final long BYTES = 4L << 20;

  @TempDir Path folder;
  private Path file;
  private GuestImage image;

  @BeforeEach
  void makeAnImage() throws Exception {
    file = Files.createTempDirectory(Path.of("/dev/shm"), "pageferry-test-").resolve("ram");
    Path description = folder.resolve("guest.yaml");
    Files.writeString(
        description,
        "name: test\nmemory: [{ name: ram, path: %s }]\ncontrol: { qmp: /run/none.sock }\n"
            .formatted(file));
    image = GuestImage.create(GuestDescription.load(description), List.of(BYTES));
  }

  @AfterEach
  void removeIt() throws Exception {
    image.deleteFiles();
    image.close();
    Files.delete(file.getParent());
  }

  @Test
  void whatWasAwaitedIsTaken() throws Exception {
    CountDownLatch begun = new CountDownLatch(1);
    CountDownLatch go = new CountDownLatch(1);
    try (ReservedMemory memory =
        new ReservedMemory(
            image,
            mine -> {
              begun.countDown();
              await(go);
              mine.reserve();
            })) {
      begun.await();
      assertThat(image.allocatedBytes()).isZero();
      go.countDown();
      memory.await();
      assertThat(image.allocatedBytes()).isEqualTo(BYTES);
      assertThat(memory.hasFailed()).isFalse();
    }
  }

  @Test
  void memoryThatIsGoneMeanwhileIsToldToWhoAwaitsIt() throws Exception {
    IOException gone = new IOException("somebody was quicker");
    try (ReservedMemory memory =
        new ReservedMemory(
            image,
            mine -> {
              throw gone;
            })) {
      assertThatThrownBy(memory::await).isSameAs(gone);
      assertThat(memory.hasFailed()).isTrue();
    }
  }

  @Test
  void aDefectIsNoReservation() throws Exception {
    try (ReservedMemory memory =
        new ReservedMemory(
            image,
            mine -> {
              throw new IllegalStateException("a defect");
            })) {
      assertThatThrownBy(memory::await)
          .isInstanceOf(IOException.class)
          .hasMessageContaining("defect");
    }
  }

  @Test
  void whoIsNotNeededAnyMoreEndsAtOnce() throws Exception {
    AtomicBoolean interrupted = new AtomicBoolean();
    CountDownLatch begun = new CountDownLatch(1);
    ReservedMemory memory =
        new ReservedMemory(
            image,
            mine -> {
              begun.countDown();
              try {
                TimeUnit.HOURS.sleep(1);
              } catch (InterruptedException e) {
                interrupted.set(true);
              }
            });
    begun.await();
    memory.close();
    assertThat(interrupted).isTrue();
  }

  private static void await(CountDownLatch latch) throws IOException {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }
}
