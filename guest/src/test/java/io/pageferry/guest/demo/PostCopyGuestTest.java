package io.pageferry.guest.demo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pageferry.guest.control.GuestTicks;
import io.pageferry.guest.control.QmpControl;
import io.pageferry.guest.fault.FaultService;
import io.pageferry.guest.fault.FaultSink;
import io.pageferry.guest.fault.MissingPages;
import io.pageferry.guest.handover.GuestHandover;
import io.pageferry.guest.handover.HandoverListener;
import io.pageferry.guest.handover.HandoverMode;
import io.pageferry.guest.image.GuestImage;
import io.pageferry.guest.image.Images;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The demo guest while its memory is still to come. */
@Timeout(120)
final class PostCopyGuestTest {
  private static final int PAGES = (8 << 20) / 4096;

  private Path folder = Path.of("");

  @BeforeEach
  void makeFolder() throws Exception {
    folder = DemoProcess.memoryFolder();
  }

  @AfterEach
  void removeFolder() throws Exception {
    DemoProcess.delete(folder);
  }

  /** A guest that runs here, of whose memory nothing has come, and the one that it was. */
  private final class Moved implements AutoCloseable, FaultSink {
    final Path sourceImage = folder.resolve("source-ram");
    final Path targetImage = Images.sparse(folder.resolve("target-ram"), PAGES * 4096L);
    final DemoProcess source;
    final QmpControl from;
    final DemoProcess target;
    final QmpControl to;
    final GuestImage content;
    final GuestImage image;
    final MissingPages missing;
    final BlockingQueue<Long> asked = new LinkedBlockingQueue<>();
    FaultService service;

    Moved() throws Exception {
      source =
          DemoProcess.start(
              folder,
              "source",
              "--image",
              sourceImage.toString(),
              "--memory",
              "8M",
              "--pattern",
              "mostly-zero");
      from = source.control();
      target = DemoProcess.start(folder, "target", "--image", targetImage.toString(), "--incoming");
      to = target.control();
      Awaitility.await()
          .atMost(DemoProcess.LIMIT)
          .until(() -> from.ticks().orElseThrow().operations() > 1000);
      from.pause();
      content = GuestImage.openExisting(Images.describe(folder, List.of(sourceImage), 0));
      image = GuestImage.openExisting(Images.describe(folder, List.of(targetImage), 0));
      missing = MissingPages.create(folder.resolve("missing"), List.of((long) PAGES));
      missing.add(0, 0, PAGES);
      service = FaultService.start(handOver(HandoverMode.MISSING), image, missing, this);
      to.loadDeviceState(from.saveDeviceState());
      to.resume();
    }

    GuestHandover handOver(HandoverMode mode) throws IOException {
      Path socket = folder.resolve("handover");
      try (HandoverListener listener = HandoverListener.bind(socket)) {
        to.requestHandover(socket, mode);
        return listener.accept(DemoProcess.LIMIT);
      }
    }

    void land(long page, int count) throws IOException {
      ByteBuffer pages = ByteBuffer.allocateDirect(count * 4096);
      content.read(0, page, pages);
      service.land(0, page, pages.flip(), (region, first, landed) -> {});
    }

    long nextAsked() throws InterruptedException {
      Long page = asked.poll(DemoProcess.LIMIT.toSeconds(), TimeUnit.SECONDS);
      assertThat(page).isNotNull();
      return page == null ? -1 : page;
    }

    @Override
    public void request(int region, long[] pages, int count) {
      for (int i = 0; i < count; i++) {
        asked.add(pages[i]);
      }
    }

    @Override
    public void guestGone() {}

    @Override
    public void failed(IOException cause) {
      throw new AssertionError(cause);
    }

    @Override
    public void close() {
      service.close();
      from.close();
      to.close();
      source.close();
      target.close();
      content.close();
      image.close();
    }
  }

  @Test
  void answersWhileItsProcessorWaitsAndFindsNothingWrongInTheEnd() throws Exception {
    try (Moved moved = new Moved()) {
      long first = moved.nextAsked();
      assertThat(moved.to.status().running()).isTrue();
      // A collection needs a safepoint, and so does much else that the JVM does now and then.
      collectGarbage(moved.target.process().pid());
      GuestTicks waiting = moved.to.ticks().orElseThrow();
      assertThat(waiting.running()).isTrue();

      assertThatThrownBy(() -> moved.handOver(HandoverMode.MISSING))
          .hasMessageContaining("handed over already");
      moved.service.close();
      assertThatThrownBy(() -> moved.handOver(HandoverMode.WRITE_PROTECT))
          .hasMessageContaining("busy");
      moved.service =
          FaultService.start(
              moved.handOver(HandoverMode.MISSING), moved.image, moved.missing, moved);
      assertThat(moved.nextAsked()).isEqualTo(first);

      for (int i = 0; i < 100; i++) {
        moved.land(first, 1);
        first = moved.nextAsked();
      }
      moved.land(0, PAGES);
      moved.service.complete().get(60, TimeUnit.SECONDS);
      moved.service.finish();
      moved.service.close();
      GuestTicks after = moved.to.verify(DemoProcess.LIMIT).orElseThrow();
      assertThat(after.firstFault()).isEmpty();
      assertThat(after.faultsFound()).isZero();
      assertThat(after.operations()).isGreaterThan(waiting.operations());
      // It can be followed again, as the source of its next migration.
      moved.handOver(HandoverMode.WRITE_PROTECT).close();
      moved.to.quit();
      assertThat(moved.target.exitCode()).isZero();
    }
  }

  private void collectGarbage(long pid) throws Exception {
    Process jcmd =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "jcmd").toString(),
                Long.toString(pid),
                "GC.run")
            .redirectErrorStream(true)
            .redirectOutput(folder.resolve("jcmd").toFile())
            .start();
    try {
      assertThat(jcmd.waitFor(DemoProcess.LIMIT.toSeconds(), TimeUnit.SECONDS)).isTrue();
      assertThat(jcmd.exitValue()).isZero();
    } finally {
      jcmd.destroyForcibly();
    }
  }

  @Test
  void endsWhenToldToAlthoughItsProcessorWaits() throws Exception {
    try (Moved moved = new Moved()) {
      assertThat(moved.nextAsked()).isNotNegative();
      moved.to.quit();
      assertThat(moved.target.exitCode()).isZero();
      assertThat(moved.target.output()).contains(" 0 faults");
    }
  }
}
