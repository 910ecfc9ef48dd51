package io.pageferry.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pageferry.agent.cli.ExitCode;
import io.pageferry.guest.dirty.DigestTracker;
import io.pageferry.guest.image.GuestImage;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(180)
class ImageRereadTest {
  @TempDir private Path folder;

  @Test
  void aCancellationDoesNotWaitForTheEndOfTheImage() throws Exception {
    Path ram = Files.write(folder.resolve("ram"), new byte[1 << 20]);
    try (GuestImage image = OneRegionImage.open(ram);
        DigestTracker tracker = new DigestTracker(image, (region, page, content) -> true)) {
      Thread.currentThread().interrupt();
      requireCancellation(
          catchThrowableOfType(InterruptedIOException.class, () -> ImageReread.digest(image)));
      Thread.currentThread().interrupt();
      requireCancellation(
          catchThrowableOfType(
              InterruptedIOException.class, () -> tracker.collect((region, first, count) -> {})));
      assertThat(tracker.collect((region, first, count) -> {})).isEqualTo(256);
    }
  }

  private static void requireCancellation(InterruptedIOException stopped) {
    assertThat(Verdict.of(stopped, "a signal", false, true).exit()).isEqualTo(ExitCode.CANCELLED);
    assertThat(Thread.interrupted()).as("what follows is not interrupted again").isFalse();
  }
}
