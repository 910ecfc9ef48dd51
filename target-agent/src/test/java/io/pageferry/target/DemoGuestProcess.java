package io.pageferry.target;

import io.pageferry.guest.control.GuestControlException;
import io.pageferry.guest.control.QmpControl;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.guest.image.GuestImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.awaitility.Awaitility;

/** A real demo guest that stands paused on the source's side, ready to be moved. */
final class DemoGuestProcess implements AutoCloseable {
  private final Process process;
  private final Path image;
  final QmpControl control;
  final GuestImage memory;

  DemoGuestProcess(TargetBench bench, String name, long bytes)
      throws IOException, GuestControlException {
    image = bench.images.resolve("source-" + name + ".ram");
    Path qmp = bench.root.resolve("source-" + name + ".sock");
    Path log = bench.root.resolve("source-" + name + ".log");
    process =
        new ProcessBuilder(
                command(
                    "--image", image.toString(),
                    "--memory", Long.toString(bytes),
                    "--working-set", "1M",
                    "--qmp", qmp.toString()))
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    Awaitility.await()
        .atMost(TargetBench.PATIENCE)
        .until(() -> Files.exists(qmp) && Files.readString(log).contains("answers QMP"));
    control = QmpControl.connect(qmp, Duration.ofSeconds(30));
    Path description = bench.root.resolve("source-" + name + ".yaml");
    Files.writeString(
        description,
        "name: "
            + name
            + "\nmemory:\n  - { name: ram, path: "
            + image
            + " }\ncontrol: { qmp: "
            + qmp
            + " }\n");
    memory = GuestImage.openExisting(GuestDescription.load(description));
    Awaitility.await()
        .atMost(TargetBench.PATIENCE)
        .until(() -> control.ticks().orElseThrow().ticks() > 100);
    control.pause();
  }

  static List<String> command(String... options) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx64m", "-Xshare:auto"));
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("-cp");
    command.add(System.getProperty("java.class.path"));
    command.add("io.pageferry.guest.demo.DemoGuest");
    command.addAll(List.of(options));
    return command;
  }

  @Override
  public void close() throws IOException {
    control.close();
    memory.close();
    process.destroyForcibly();
    Files.deleteIfExists(image);
  }
}
