package io.pageferry.target;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.pageferry.agent.copies.CopyLimits;
import io.pageferry.agent.ledger.LedgerEntry;
import io.pageferry.agent.ledger.LedgerException;
import io.pageferry.agent.ledger.LedgerSide;
import io.pageferry.agent.ledger.OwnershipLedger;
import io.pageferry.protocol.channel.TransportSettings;
import io.pageferry.target.admission.AllowList;
import io.pageferry.target.content.Sharing;
import io.pageferry.target.reception.ReceptionLimits;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.awaitility.Awaitility;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;

/**
 * A real target server in this process on loopback, with folders of its own, and everything needed
 * to say that nothing is left when a migration failed.
 */
final class TargetBench implements AutoCloseable {
  static final Duration PATIENCE = Duration.ofSeconds(60);

  static {
    Awaitility.setDefaultPollDelay(Duration.ZERO);
    Awaitility.setDefaultPollInterval(Duration.ofMillis(30));
  }

  final Path root;
  final Path guests;
  final Path images;
  final Path state;
  final SimpleMeterRegistry registry = new SimpleMeterRegistry();
  AllowList allowed = AllowList.everyone();
  int maxMigrations = 8;
  Duration launchLimit = Duration.ofSeconds(60);
  ReceptionLimits limits = ReceptionLimits.standard();
  CopyLimits copies = CopyLimits.NONE;
  Sharing sharing = Sharing.SENDER;
  List<Path> hints = List.of();
  private @Nullable TargetServer server;
  private InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);

  TargetBench() throws IOException {
    root = Files.createTempDirectory("pf-target-");
    guests = Files.createDirectory(root.resolve("guests"));
    state = root.resolve("state");
    Path memory = Path.of("/dev/shm");
    images =
        Files.createTempDirectory(
            Files.isWritable(memory) ? memory : root, root.getFileName() + "-images-");
  }

  TargetServer start() throws IOException, InterruptedException {
    TargetServer started =
        new TargetServer(
            new TargetSettings(
                // Both ends are in this process, which may be held up.
                TransportSettings.plaintext()
                    .withKeepAlive(Duration.ofMillis(200), Duration.ofSeconds(20)),
                guests,
                state,
                allowed,
                maxMigrations,
                launchLimit,
                limits,
                copies,
                sharing,
                hints),
            registry,
            LoggerFactory.getLogger("target"));
    address = started.listen(address);
    server = started;
    return started;
  }

  TargetServer server() {
    return Objects.requireNonNull(server);
  }

  InetSocketAddress address() {
    return address;
  }

  Path image(String guest) {
    return images.resolve(guest + ".ram");
  }

  Path qmp(String guest) {
    return root.resolve(guest + ".qmp");
  }

  Path log(String guest) {
    return root.resolve(guest + ".log");
  }

  /** Describes a guest of one region that is launched as a demo guest. */
  void describe(String guest, long bytes) throws IOException {
    describe(guest, Long.toString(bytes), image(guest).toString(), demoGuest(guest));
  }

  void describe(String guest, @Nullable String size, String image, List<String> launch)
      throws IOException {
    StringBuilder yaml = new StringBuilder("name: " + guest + "\nmemory:\n");
    yaml.append("  - name: ram\n    path: ").append(image).append('\n');
    if (size != null) {
      yaml.append("    size: ").append(size).append('\n');
    }
    yaml.append("control: { qmp: ").append(qmp(guest)).append(", timeout: 30s }\n");
    if (!launch.isEmpty()) {
      yaml.append("launch: ")
          .append(launch.stream().map(word -> '"' + word + '"').toList())
          .append('\n');
    }
    yaml.append("log: ").append(log(guest)).append('\n');
    Files.writeString(guests.resolve(guest + ".yaml"), yaml);
  }

  List<String> demoGuest(String guest) {
    return DemoGuestProcess.command(
        "--incoming", "--image", image(guest).toString(), "--qmp", qmp(guest).toString());
  }

  /** Waits until the server is at work on nothing. */
  void awaitIdle() {
    await().atMost(PATIENCE).until(() -> server == null || server.status().isEmpty());
  }

  LedgerEntry ledger(UUID migration) throws LedgerException {
    return OwnershipLedger.read(state, LedgerSide.TARGET, migration);
  }

  /** No image, no socket, no process, no draft of a ledger. */
  void assertNothingLeft() {
    awaitIdle();
    await()
        .atMost(PATIENCE)
        .untilAsserted(
            () -> {
              assertThat(files(images)).isEmpty();
              assertThat(files(root).stream().filter(f -> f.endsWith(".qmp"))).isEmpty();
              assertThat(processes()).isEmpty();
            });
  }

  static List<String> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(path -> path.getFileName().toString()).sorted().toList();
    }
  }

  /** The command lines of the living processes that were started for this bench. */
  List<String> processes() throws IOException {
    List<String> found = new ArrayList<>();
    for (ProcessHandle process : ours()) {
      found.add(process.pid() + " " + commandLine(process.pid()));
    }
    return found;
  }

  private List<ProcessHandle> ours() {
    return ProcessHandle.allProcesses()
        .filter(process -> process.pid() != ProcessHandle.current().pid())
        .filter(
            process ->
                commandLine(process.pid()).contains(root.toString())
                    || commandLine(process.pid()).contains(images.toString()))
        .collect(Collectors.toList());
  }

  private static String commandLine(long pid) {
    try {
      return new String(
              Files.readAllBytes(Path.of("/proc/" + pid + "/cmdline")), StandardCharsets.UTF_8)
          .replace('\0', ' ');
    } catch (IOException e) {
      return "";
    }
  }

  void stop() {
    if (server != null) {
      server.close();
      server = null;
    }
  }

  @Override
  public void close() {
    stop();
    ours().forEach(ProcessHandle::destroyForcibly);
    delete(images);
    delete(root);
  }

  /** Whose end is not awaited may still remove something, or leave it. */
  private static void delete(Path tree) {
    await().atMost(PATIENCE).ignoreExceptions().until(() -> deleted(tree));
  }

  private static boolean deleted(Path tree) throws IOException {
    if (Files.exists(tree)) {
      try (Stream<Path> all = Files.walk(tree)) {
        for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
          Files.deleteIfExists(path);
        }
      }
    }
    return Files.notExists(tree);
  }
}
