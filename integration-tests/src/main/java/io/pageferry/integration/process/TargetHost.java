package io.pageferry.integration.process;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A target agent and the folders of "its host". The agent's own readiness line names the port.
 *
 * <p>Threads: as {@link RunningProcess}.
 */
public final class TargetHost {
  private static final String READY = "listening on ";

  /** No copies are kept unless this is among the options: a run is to leave nothing. */
  static final String COPY_QUOTA = "--copy-quota";

  /** Guests here have the same content; none is found in another one unless this is an option. */
  static final String SHARE = "--share";

  private static final Duration START_LIMIT = Duration.ofSeconds(30);

  private final String name;
  private final RunningProcess agent;
  private final String address;
  private final Path folder;
  private final Path imageFolder;
  private final Path guests;
  private final Path state;

  private TargetHost(Folders folders, RunningProcess agent, String address) {
    this.name = folders.name;
    this.agent = agent;
    this.address = address;
    this.folder = folders.folder;
    this.imageFolder = folders.imageFolder;
    this.guests = folders.guests;
    this.state = folders.state;
  }

  private record Folders(String name, Path folder, Path imageFolder, Path guests, Path state) {}

  /** A target agent that was started and is not yet known to listen. */
  public static final class Starting {
    private final Folders folders;
    private final RunningProcess agent;

    private Starting(Folders folders, RunningProcess agent) {
      this.folders = folders;
      this.agent = agent;
    }

    /**
     * Waits until it listens.
     *
     * @throws ProcessFailure if it does not
     * @throws InterruptedException if this thread was interrupted
     */
    public TargetHost awaitReady() throws ProcessFailure, InterruptedException {
      String line = agent.awaitLine(READY, text -> text.startsWith(READY), START_LIMIT);
      return new TargetHost(folders, agent, line.substring(READY.length()).trim());
    }

    /** The process, for one that is expected not to come up. */
    public RunningProcess agent() {
      return agent;
    }
  }

  /**
   * Starts a target agent on a free port of the loopback.
   *
   * @param workplace where; it stops the agent when it closes
   * @param name of this host's folders
   * @param security how it talks to sources
   * @param options further options
   * @throws IOException if it cannot be started
   */
  public static Starting start(
      Workplace workplace, String name, PeerSecurity security, List<String> options)
      throws IOException {
    return start(workplace, name, "127.0.0.1:0", security, Surroundings.USUAL, options);
  }

  /**
   * Starts a target agent.
   *
   * @param workplace where; it stops the agent when it closes
   * @param name of this host's folders
   * @param listen address and port
   * @param security how it talks to sources
   * @param surroundings where it runs
   * @param options further options
   * @throws IOException if it cannot be started
   */
  public static Starting start(
      Workplace workplace,
      String name,
      String listen,
      PeerSecurity security,
      Surroundings surroundings,
      List<String> options)
      throws IOException {
    Folders folders =
        new Folders(
            name,
            workplace.subfolder(name),
            workplace.imageSubfolder(name),
            workplace.subfolder(name + "/guests"),
            workplace.folder().resolve(name).resolve("state"));
    List<String> arguments = new ArrayList<>(List.of("serve", "--listen", listen));
    arguments.addAll(List.of("--guests", folders.guests.toString()));
    arguments.addAll(List.of("--state", folders.state.toString()));
    arguments.addAll(security.arguments("target"));
    arguments.addAll(options);
    if (!options.contains(COPY_QUOTA)) {
      arguments.addAll(List.of(COPY_QUOTA, "0"));
    }
    if (!options.contains(SHARE)) {
      arguments.addAll(List.of(SHARE, "none"));
    }
    return new Starting(
        folders,
        workplace.start(
            name,
            surroundings.before(JavaCommand.of(Program.TARGET, arguments)),
            RunningProcess.Terminal.DETACHED,
            surroundings.environment()));
  }

  /** Describes a guest to this host, so that it may come here. */
  public void expect(GuestSpec spec) throws IOException {
    DescriptionFile.ofTarget(spec, folder, imageFolder).writeTo(descriptionOf(spec));
  }

  /** Where this host's description of a guest is. */
  public Path descriptionOf(GuestSpec spec) {
    return guests.resolve(spec.name() + ".yaml");
  }

  /** The guest's QMP socket on this host. */
  public Path qmp(GuestSpec spec) {
    return spec.qmp(folder);
  }

  /** The name it was started with. */
  public String name() {
    return name;
  }

  /** Host and port it listens on. */
  public String address() {
    return address;
  }

  /** The port it listens on. */
  public int port() {
    return Integer.parseInt(address.substring(address.lastIndexOf(':') + 1));
  }

  /** The agent. */
  public RunningProcess agent() {
    return agent;
  }

  /** This host's folder. */
  public Path folder() {
    return folder;
  }

  /** This host's folder for images. */
  public Path imageFolder() {
    return imageFolder;
  }

  /** The agent's state folder. */
  public Path state() {
    return state;
  }
}
