package io.pageferry.integration;

import java.io.IOException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Two network namespaces with one cable between them, whose rate the kernel limits on the source's
 * side. Needs root, {@code ip} and {@code tc}.
 */
final class NetworkLink implements AutoCloseable {
  private static final AtomicInteger NUMBER = new AtomicInteger();

  private final String sourceNamespace;
  private final String targetNamespace;
  private final String cable;

  private NetworkLink(String name) {
    this.sourceNamespace = name + "s";
    this.targetNamespace = name + "t";
    this.cable = "cable";
  }

  static NetworkLink create() throws IOException, InterruptedException {
    String name = "pf%d-%d".formatted(ProcessHandle.current().pid(), NUMBER.incrementAndGet());
    NetworkLink link = new NetworkLink(name);
    try {
      Mount.run("ip", "netns", "add", link.sourceNamespace);
      Mount.run("ip", "netns", "add", link.targetNamespace);
      Mount.run(
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
    Mount.run("ip", "-n", namespace, "address", "add", address, "dev", cable);
    Mount.run("ip", "-n", namespace, "link", "set", cable, "up");
    Mount.run("ip", "-n", namespace, "link", "set", "lo", "up");
  }

  /** Lets at most this many Mbit/s leave the source. */
  void limit(int megabits) throws IOException, InterruptedException {
    Mount.run(
        "tc",
        "-n",
        sourceNamespace,
        "qdisc",
        "replace",
        "dev",
        cable,
        "root",
        "tbf",
        "rate",
        megabits + "mbit",
        "burst",
        "128kb",
        "latency",
        "50ms");
  }

  /** Pulls the cable. */
  void cut() throws IOException, InterruptedException {
    Mount.run("ip", "-n", sourceNamespace, "link", "set", cable, "down");
  }

  /** Plugs it in again. */
  void mend() throws IOException, InterruptedException {
    Mount.run("ip", "-n", sourceNamespace, "link", "set", cable, "up");
  }

  /** Bytes that have arrived on the target's side, headers included. */
  long received() throws IOException, InterruptedException {
    return Long.parseLong(
        Mount.run(
                "ip",
                "netns",
                "exec",
                targetNamespace,
                "cat",
                "/sys/class/net/" + cable + "/statistics/rx_bytes")
            .trim());
  }

  String sourceNamespace() {
    return sourceNamespace;
  }

  String targetNamespace() {
    return targetNamespace;
  }

  /** Where a target listens. */
  String targetAddress() {
    return "10.213.0.2:0";
  }

  @Override
  public void close() {
    delete(sourceNamespace);
    delete(targetNamespace);
  }

  private static void delete(String namespace) {
    try {
      Mount.run("ip", "netns", "delete", namespace);
    } catch (IOException missing) {
      // Making it failed then, which is what the test reports.
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
