package io.pageferry.integration.process;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/**
 * A network namespace that stands for a host, with a name of this process's. What is connected to
 * it goes with it. Needs root and {@code ip}.
 */
final class HostNamespace implements AutoCloseable {
  private static final Path FOLDER = Path.of("/run/netns");
  private static final AtomicInteger NUMBER = new AtomicInteger();

  private final String name;

  /** Names one; {@link #add} makes it. */
  HostNamespace() {
    this.name = "pf%d-%d".formatted(ProcessHandle.current().pid(), NUMBER.incrementAndGet());
  }

  /** Makes it, with its loopback. */
  void add() throws IOException, InterruptedException {
    SystemCommand.run("ip", "netns", "add", name);
    up("lo");
  }

  /** Its name for {@code ip netns}. */
  String name() {
    return name;
  }

  /** Where the kernel shows it. */
  Path file() {
    return FOLDER.resolve(name);
  }

  /** Runs {@code ip} for what is in it. */
  void ip(String... arguments) throws IOException, InterruptedException {
    SystemCommand.run(
        Stream.concat(Stream.of("ip", "-n", name), Stream.of(arguments)).toArray(String[]::new));
  }

  /** Runs a command in it and returns all it wrote. */
  String run(String... command) throws IOException, InterruptedException {
    return SystemCommand.run(
        Stream.concat(List.of("ip", "netns", "exec", name).stream(), Stream.of(command))
            .toArray(String[]::new));
  }

  /** Connects it to another one. */
  void cable(String end, HostNamespace other, String otherEnd)
      throws IOException, InterruptedException {
    ip("link", "add", end, "type", "veth", "peer", "name", otherEnd, "netns", other.name);
  }

  /** Gives an interface an address, ADDRESS/PREFIX, and lets it work. */
  void up(String device, String address) throws IOException, InterruptedException {
    ip("address", "add", address, "dev", device);
    up(device);
  }

  /** Lets an interface work. */
  void up(String device) throws IOException, InterruptedException {
    ip("link", "set", device, "up");
  }

  @Override
  public void close() {
    try {
      SystemCommand.run("ip", "netns", "delete", name);
    } catch (IOException missing) {
      // Making it failed then, which is what is reported.
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
