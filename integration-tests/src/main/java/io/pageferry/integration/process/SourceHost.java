package io.pageferry.integration.process;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The folders of "the source host": guests run here and leave by a source agent each. */
public final class SourceHost {
  private final Workplace workplace;
  private final Path folder;
  private final Path imageFolder;
  private final Surroundings surroundings;

  private SourceHost(
      Workplace workplace, Path folder, Path imageFolder, Surroundings surroundings) {
    this.workplace = workplace;
    this.folder = folder;
    this.imageFolder = imageFolder;
    this.surroundings = surroundings;
  }

  /**
   * Makes the folders.
   *
   * @param workplace where
   * @param name of the folders
   * @throws IOException if that fails
   */
  public static SourceHost create(Workplace workplace, String name) throws IOException {
    return create(workplace, name, Surroundings.USUAL);
  }

  /**
   * Makes the folders.
   *
   * @param workplace where
   * @param name of the folders
   * @param surroundings where its agents and guests in QEMU run; demo guests run as this process
   *     does
   * @throws IOException if that fails
   */
  public static SourceHost create(Workplace workplace, String name, Surroundings surroundings)
      throws IOException {
    return new SourceHost(
        workplace, workplace.subfolder(name), workplace.imageSubfolder(name), surroundings);
  }

  /** The same folders with agents in other surroundings. */
  public SourceHost in(Surroundings other) {
    return new SourceHost(workplace, folder, imageFolder, other);
  }

  /**
   * Starts a demo guest; {@link DemoGuest#awaitReady} says when it runs.
   *
   * @throws IOException if it cannot be started
   */
  public DemoGuest startGuest(DemoGuestSpec spec) throws IOException {
    return DemoGuest.start(workplace, spec, folder, imageFolder);
  }

  /**
   * Starts a guest in QEMU, where this host's agents run: it has this host's network. {@link
   * QemuGuest#awaitReady} says when it runs.
   *
   * @throws IOException if it cannot be started
   */
  public QemuGuest startGuest(QemuGuestSpec spec) throws IOException {
    return QemuGuest.start(workplace, spec, folder, imageFolder, surroundings);
  }

  /**
   * Starts a QEMU that waits for a guest which another QEMU brings by itself; see {@link
   * QemuOwnMigration}.
   *
   * @throws IOException if it cannot be started
   */
  public QemuGuest awaitGuest(QemuGuestSpec spec) throws IOException {
    return QemuGuest.startAsQemusOwnTarget(workplace, spec, folder, imageFolder, surroundings);
  }

  /**
   * Starts a source agent that moves a guest.
   *
   * @param spec the guest
   * @param to HOST:PORT of the target
   * @param security how it talks to the target
   * @param tracking what the description says of tracking, or null for nothing
   * @param options further options
   * @param terminal captured or shared
   * @throws IOException if it cannot be started
   */
  public Departure migrate(
      GuestSpec spec,
      String to,
      PeerSecurity security,
      @Nullable String tracking,
      List<String> options,
      RunningProcess.Terminal terminal)
      throws IOException {
    Path description = folder.resolve(spec.name() + ".yaml");
    DescriptionFile.ofSource(spec, folder, imageFolder, tracking).writeTo(description);
    return migrate(description, to, security, options, terminal);
  }

  /**
   * Starts a source agent that moves the guest of a description.
   *
   * @param description the file
   * @param to HOST:PORT of the target
   * @param security how it talks to the target
   * @param options further options
   * @param terminal captured or shared
   * @throws IOException if it cannot be started
   */
  public Departure migrate(
      Path description,
      String to,
      PeerSecurity security,
      List<String> options,
      RunningProcess.Terminal terminal)
      throws IOException {
    Path report = folder.resolve(description.getFileName() + ".json");
    List<String> arguments =
        new ArrayList<>(List.of("migrate", "--guest", description.toString(), "--to", to));
    arguments.addAll(List.of("--json", report.toString(), "--state", state().toString()));
    arguments.addAll(security.arguments("source"));
    arguments.addAll(options);
    keepNone(arguments);
    return new Departure(command(arguments, terminal), report);
  }

  /**
   * Starts any command of the source agent, {@code status} or {@code cancel} for example.
   *
   * @param arguments all of them
   * @param terminal captured or shared
   * @throws IOException if it cannot be started
   */
  public RunningProcess command(List<String> arguments, RunningProcess.Terminal terminal)
      throws IOException {
    List<String> all = new ArrayList<>(arguments);
    if (all.getFirst().equals("recover")) {
      keepNone(all);
    }
    return workplace.start(
        "source " + all.getFirst(),
        surroundings.before(JavaCommand.of(Program.SOURCE, all)),
        terminal,
        surroundings.environment());
  }

  private static void keepNone(List<String> arguments) {
    if (!arguments.contains(TargetHost.COPY_QUOTA)) {
      arguments.addAll(List.of(TargetHost.COPY_QUOTA, "0"));
    }
  }

  /** This host's folder. */
  public Path folder() {
    return folder;
  }

  /** This host's folder for images. */
  public Path imageFolder() {
    return imageFolder;
  }

  /** The agents' state folder. */
  public Path state() {
    return folder.resolve("state");
  }
}
