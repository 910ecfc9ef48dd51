package io.pageferry.target;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.awaitility.Awaitility;

/** A demo guest on the target's side that its user has started: it waits for its device state. */
final class WaitingGuest implements AutoCloseable {
  final Process process;

  /**
   * Describes it to the bench as well.
   *
   * @param qmp where it listens itself, be that where the agent looks for it or not
   */
  WaitingGuest(TargetBench bench, String name, long bytes, Path qmp) throws IOException {
    Path image = bench.image(name);
    try (RandomAccessFile file = new RandomAccessFile(image.toFile(), "rw")) {
      file.setLength(bytes);
    }
    bench.describe(name, null, image.toString(), List.of());
    Path log = bench.root.resolve("waiting-" + name + ".log");
    process =
        new ProcessBuilder(
                DemoGuestProcess.command(
                    "--incoming", "--image", image.toString(), "--qmp", qmp.toString()))
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    Awaitility.await()
        .atMost(TargetBench.PATIENCE)
        .until(() -> Files.exists(qmp) && Files.readString(log).contains("waits for its state"));
  }

  /** As kill -9 does. */
  void kill() throws InterruptedException {
    process.destroyForcibly().waitFor();
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
