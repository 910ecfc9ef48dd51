package io.pageferry.integration.process;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * Two network namespaces with one cable between them, whose rate the kernel limits on the source's
 * side. Needs root, {@code ip} and {@code tc}.
 */
public final class NetworkLink implements AutoCloseable {
  private static final String CABLE = "cable";

  private final HostNamespace source = new HostNamespace();
  private final HostNamespace target = new HostNamespace();

  private NetworkLink() {}

  /**
   * Makes both, and the cable without a limit.
   *
   * @throws IOException if that fails, for want of rights or of a command
   * @throws InterruptedException if this thread was interrupted
   */
  public static NetworkLink create() throws IOException, InterruptedException {
    NetworkLink link = new NetworkLink();
    try {
      link.source.add();
      link.target.add();
      link.source.cable(CABLE, link.target, CABLE);
      link.source.up(CABLE, "10.213.0.1/24");
      link.target.up(CABLE, "10.213.0.2/24");
      return link;
    } catch (IOException | InterruptedException failure) {
      link.close();
      throw failure;
    }
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

  /**
   * Lets the source send what the cable carries again; a cable without a limit stays as it is.
   *
   * @throws IOException if the kernel does not do it
   * @throws InterruptedException if this thread was interrupted
   */
  public void lift() throws IOException, InterruptedException {
    shape("root", "noqueue");
  }

  private void shape(String... discipline) throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(List.of("tc", "-n", source.name(), "qdisc", "replace", "dev", CABLE));
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
    source.ip("link", "set", CABLE, "down");
  }

  /**
   * Plugs it in again.
   *
   * @throws IOException if the kernel does not do it
   * @throws InterruptedException if this thread was interrupted
   */
  public void mend() throws IOException, InterruptedException {
    source.up(CABLE);
  }

  /** Where the source's agents are to run. */
  public String sourceNamespace() {
    return source.name();
  }

  /** Where the target's agent is to run. */
  public String targetNamespace() {
    return target.name();
  }

  /** Where a target listens. */
  public String targetAddress() {
    return "10.213.0.2:0";
  }

  @Override
  public void close() {
    source.close();
    target.close();
  }
}
