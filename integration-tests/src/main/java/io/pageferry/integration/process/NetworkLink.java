package io.pageferry.integration.process;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Two network namespaces with one cable between them, whose rate the kernel limits on the source's
 * side. Needs root, {@code ip} and {@code tc}.
 */
public final class NetworkLink implements AutoCloseable {
  private static final AtomicInteger NUMBER = new AtomicInteger();

  private final String sourceNamespace;
  private final String targetNamespace;
  private final String cable;

  private NetworkLink(String name) {
    this.sourceNamespace = name + "s";
    this.targetNamespace = name + "t";
    this.cable = "cable";
  }

  /**
   * Makes both, and the cable without a limit.
   *
   * @throws IOException if that fails, for want of rights or of a command
   * @throws InterruptedException if this thread was interrupted
   */
  public static NetworkLink create() throws IOException, InterruptedException {
    String name = "pf%d-%d".formatted(ProcessHandle.current().pid(), NUMBER.incrementAndGet());
    NetworkLink link = new NetworkLink(name);
    try {
      SystemCommand.run("ip", "netns", "add", link.sourceNamespace);
      SystemCommand.run("ip", "netns", "add", link.targetNamespace);
      SystemCommand.run(
          "ip",
          "-n",
          link.sourceNamespace,
          "link",
          "add",
          link.cable,
          "type",
          "veth",
          "peer",
          "name",
          link.cable,
          "netns",
          link.targetNamespace);
      link.up(link.sourceNamespace, "10.213.0.1/24");
      link.up(link.targetNamespace, "10.213.0.2/24");
      return link;
    } catch (IOException | InterruptedException failure) {
      link.close();
      throw failure;
    }
  }

  private void up(String namespace, String address) throws IOException, InterruptedException {
    SystemCommand.run("ip", "-n", namespace, "address", "add", address, "dev", cable);
    SystemCommand.run("ip", "-n", namespace, "link", "set", cable, "up");
    SystemCommand.run("ip", "-n", namespace, "link", "set", "lo", "up");
  }

  /**
   * Lets at most this many Mbit/s leave the source. What is urgent goes first, as it does on a
   * network card that is left as Linux sets it up.
   *
   * @throws IOException if the kernel does not do it
   * @throws InterruptedException if this thread was interrupted
   */
  public void limit(int megabits) throws IOException, InterruptedException {
    shape(
        "root",
        "handle",
        "1:",
        "tbf",
        "rate",
        megabits + "mbit",
        "burst",
        "128kb",
        "latency",
        "50ms");
    shape("parent", "1:1", "handle", "10:", "pfifo_fast");
  }

  private void shape(String... discipline) throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(List.of("tc", "-n", sourceNamespace, "qdisc", "replace", "dev", cable));
    command.addAll(List.of(discipline));
    SystemCommand.run(command.toArray(String[]::new));
  }

  /**
   * Pulls the cable.
   *
   * @throws IOException if the kernel does not do it
   * @throws InterruptedException if this thread was interrupted
   */
  public void cut() throws IOException, InterruptedException {
    SystemCommand.run("ip", "-n", sourceNamespace, "link", "set", cable, "down");
  }

  /**
   * Plugs it in again.
   *
   * @throws IOException if the kernel does not do it
   * @throws InterruptedException if this thread was interrupted
   */
  public void mend() throws IOException, InterruptedException {
    SystemCommand.run("ip", "-n", sourceNamespace, "link", "set", cable, "up");
  }

  /**
   * Bytes that have arrived on the target's side, headers included.
   *
   * @throws IOException if the kernel does not do it
   * @throws InterruptedException if this thread was interrupted
   */
  public long received() throws IOException, InterruptedException {
    return Long.parseLong(
        SystemCommand.run(
                "ip",
                "netns",
                "exec",
                targetNamespace,
                "cat",
                "/sys/class/net/" + cable + "/statistics/rx_bytes")
            .trim());
  }

  /** Where the source's agents are to run. */
  public String sourceNamespace() {
    return sourceNamespace;
  }

  /** Where the target's agent is to run. */
  public String targetNamespace() {
    return targetNamespace;
  }

  /** Where a target listens. */
  public String targetAddress() {
    return "10.213.0.2:0";
  }

  @Override
  public void close() {
    delete(sourceNamespace);
    delete(targetNamespace);
  }

  private static void delete(String namespace) {
    try {
      SystemCommand.run("ip", "netns", "delete", namespace);
    } catch (IOException missing) {
      // Making it failed then, which is what the test reports.
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
