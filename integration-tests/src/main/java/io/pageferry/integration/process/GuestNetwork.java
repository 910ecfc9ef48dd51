package io.pageferry.integration.process;

import java.io.File;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The network that a guest keeps its address on while it changes hosts: each host is a network
 * namespace with a bridge, which the guest's card is on by a tap, and both bridges are connected to
 * a switch in a third namespace, where the guest's clients are.
 *
 * <pre>
 *   alpha:  tap -- bridge --+
 *                           +-- switch  (clients)
 *   beta:   tap -- bridge --+
 * </pre>
 *
 * <p>The switch does not see the guest leave: it sends to where it last heard from it. Needs root,
 * {@code ip}, {@code bridge} and {@code /dev/net/tun}.
 */
public final class GuestNetwork implements AutoCloseable {
  /** The interface on each host that the guest's card is to be connected to. */
  public static final String TAP = "tap0";

  /** The guest's address. */
  public static final String GUEST_ADDRESS = "10.215.0.10";

  private static final String PREFIX = "/24";
  private static final int ECHO_PORT = 7;
  private static final String BRIDGE = "guests";
  private static final String UPLINK = "uplink";
  private static final String SWITCH = "switch";
  private static final Path TUN = Path.of("/dev/net/tun");

  /** The two hosts. */
  public enum Host {
    /** The first one. */
    ALPHA("10.215.0.1"),
    /** The second one. */
    BETA("10.215.0.2");

    private final String address;

    Host(String address) {
      this.address = address;
    }

    /** Host and port for a target agent there to listen on any free port. */
    public String listen() {
      return address + ":0";
    }

    /** The switch's port that leads there. */
    private String port() {
      return "to-" + (this == ALPHA ? "alpha" : "beta");
    }
  }

  private final HostNamespace alpha = new HostNamespace();
  private final HostNamespace beta = new HostNamespace();
  private final HostNamespace clients = new HostNamespace();

  private GuestNetwork() {}

  /** What keeps this process from making one, as the middle of a sentence; empty when nothing. */
  public static Optional<String> obstacle() {
    if (!isRoot()) {
      return Optional.of("network namespaces, bridges and taps take root: run it as root");
    }
    if (!Stream.of("ip", "bridge").allMatch(GuestNetwork::isOnPath)) {
      return Optional.of("there is no 'ip' or no 'bridge' here: apt-get install iproute2");
    }
    if (!Files.exists(TUN)) {
      return Optional.of("there is no " + TUN + " here, so the kernel has no taps: modprobe tun");
    }
    return Optional.empty();
  }

  private static boolean isRoot() {
    try {
      return Integer.valueOf(0).equals(Files.getAttribute(Path.of("/proc/self"), "unix:uid"));
    } catch (IOException unknown) {
      return false;
    }
  }

  private static boolean isOnPath(String program) {
    @Nullable String path = System.getenv("PATH");
    return path != null
        && Stream.of(path.split(File.pathSeparator))
            .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
  }

  /**
   * Makes all of it.
   *
   * @throws IOException if that fails
   * @throws InterruptedException if this thread was interrupted
   */
  public static GuestNetwork create() throws IOException, InterruptedException {
    GuestNetwork network = new GuestNetwork();
    try {
      network.clients.add();
      network.clients.ip("link", "add", SWITCH, "type", "bridge");
      network.clients.up(SWITCH, "10.215.0.3" + PREFIX);
      for (Host host : Host.values()) {
        network.connect(host);
      }
      return network;
    } catch (IOException | InterruptedException failure) {
      network.close();
      throw failure;
    }
  }

  private void connect(Host which) throws IOException, InterruptedException {
    HostNamespace host = namespace(which);
    host.add();
    host.ip("link", "add", BRIDGE, "type", "bridge");
    host.ip("tuntap", "add", "dev", TAP, "mode", "tap");
    host.cable(UPLINK, clients, which.port());
    for (String port : new String[] {TAP, UPLINK}) {
      host.ip("link", "set", port, "master", BRIDGE);
      host.up(port);
    }
    clients.ip("link", "set", which.port(), "master", SWITCH);
    clients.up(which.port());
    host.up(BRIDGE, which.address + PREFIX);
  }

  private HostNamespace namespace(Host host) {
    return host == Host.ALPHA ? alpha : beta;
  }

  /** The same surroundings on that host. */
  public Surroundings on(Host host, Surroundings surroundings) {
    return surroundings.inNetwork(namespace(host).name());
  }

  /** The guest as one that is on this network, wherever it runs. */
  public QemuGuestSpec join(QemuGuestSpec spec) {
    return spec.withAddress(GUEST_ADDRESS + PREFIX);
  }

  /**
   * Where the switch would send what is for the guest; empty if it would have to ask everywhere.
   *
   * @throws IOException if the kernel does not say
   * @throws InterruptedException if this thread was interrupted
   */
  public Optional<Host> guestsPlace() throws IOException, InterruptedException {
    Matcher entry =
        Pattern.compile("(?m)^" + QemuGuestSpec.CARD + " dev (\\S+) ")
            .matcher(
                SystemCommand.run("bridge", "-n", clients.name(), "fdb", "show", "br", SWITCH));
    return entry.find()
        ? Stream.of(Host.values()).filter(host -> host.port().equals(entry.group(1))).findFirst()
        : Optional.empty();
  }

  /**
   * Calls the guest, from outside of both hosts.
   *
   * @throws IOException if it does not take the call
   * @throws InterruptedException if this thread was interrupted
   */
  public Caller call() throws IOException, InterruptedException {
    return Caller.call(clients.file(), new InetSocketAddress(GUEST_ADDRESS, ECHO_PORT));
  }

  @Override
  public void close() {
    alpha.close();
    beta.close();
    clients.close();
  }
}
