package io.pageferry.integration.process;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * What a small Linux guest in QEMU is made of: QEMU, a kernel of the distribution, and an initramfs
 * whose first program is ours.
 *
 * @param program QEMU
 * @param kernel a kernel that QEMU boots
 * @param initramfs as {@code docker/qemu-guest/build} makes it
 */
public record QemuKit(Path program, Path kernel, Path initramfs) {
  /** Names the kernel where it is not among the usual ones. */
  public static final String KERNEL_VARIABLE = "PAGEFERRY_GUEST_KERNEL";

  /** Names QEMU where it is not to be the one that is installed. */
  public static final String PROGRAM_VARIABLE = "PAGEFERRY_QEMU";

  /** Names a QEMU of another release, for the tests that move a guest from one to the other. */
  public static final String OTHER_PROGRAM_VARIABLE = "PAGEFERRY_OTHER_QEMU";

  private static final String PROGRAM = "qemu-system-x86_64";
  private static final Path BOOT = Path.of("/boot");
  private static final Path BUILD = Path.of("docker", "qemu-guest", "build");

  /** Something is not installed here; the message says how to get it. */
  public static final class NotInstalled extends IOException {
    private static final long serialVersionUID = 1L;

    NotInstalled(List<String> packages) {
      super(
          "a guest in QEMU needs what is not installed here: apt-get install "
              + String.join(" ", packages)
              + (packages.stream().anyMatch(name -> name.startsWith("linux-image"))
                  ? " (or name a kernel with " + KERNEL_VARIABLE + ")"
                  : ""));
    }

    NotInstalled(String sentence) {
      super(sentence);
    }
  }

  /**
   * Finds QEMU and a kernel, and builds the initramfs.
   *
   * @param folder where to put it
   * @throws NotInstalled if something has to be installed first
   * @throws IOException if it cannot be built
   * @throws InterruptedException if this thread was interrupted
   */
  public static QemuKit prepare(Path folder) throws IOException, InterruptedException {
    return prepare(folder.resolve("initramfs"), List.of(), List.of());
  }

  /**
   * The same with an initramfs whose program runs the distribution's Redis and works with it: for a
   * {@link QemuGuestSpec#ofDatabase guest with a database}.
   *
   * @param folder where to put it
   * @throws NotInstalled if something has to be installed first
   * @throws IOException if it cannot be built
   * @throws InterruptedException if this thread was interrupted
   */
  public static QemuKit prepareDatabase(Path folder) throws IOException, InterruptedException {
    return prepare(
        folder.resolve("initramfs-database"), List.of("redis-server"), List.of("--database"));
  }

  /** The same with the distribution's essential packages in the guest's memory. */
  public static QemuKit prepareDatabaseSystem(Path folder)
      throws IOException, InterruptedException {
    return prepare(
        folder.resolve("initramfs-system"),
        List.of("redis-server"),
        List.of("--database", "--system"));
  }

  /**
   * @param servers packages whose program of the same name goes into the guest, which can have a
   *     balloon then
   */
  private static QemuKit prepare(Path initramfs, List<String> servers, List<String> options)
      throws IOException, InterruptedException {
    @Nullable String named = System.getenv(PROGRAM_VARIABLE);
    Optional<Path> program =
        named != null && !named.isEmpty()
            ? Optional.of(executable(PROGRAM_VARIABLE, named))
            : onPath(PROGRAM);
    Optional<Path> kernel = usualKernel();
    List<String> missing = new ArrayList<>();
    if (program.isEmpty()) {
      missing.add("qemu-system-x86");
    }
    if (kernel.isEmpty()) {
      missing.add("linux-image-cloud-amd64");
    }
    if (onPath("gcc").isEmpty()) {
      missing.addAll(List.of("gcc", "libc6-dev"));
    }
    if (onPath("cpio").isEmpty()) {
      missing.add("cpio");
    }
    servers.stream().filter(server -> onPath(server).isEmpty()).forEach(missing::add);
    if (!missing.isEmpty()) {
      throw new NotInstalled(missing);
    }
    List<String> build = new ArrayList<>(List.of(checkout().resolve(BUILD).toString()));
    build.addAll(options);
    build.add(initramfs.toString());
    if (!servers.isEmpty()) {
      build.add(kernel.orElseThrow().toString());
    }
    SystemCommand.run(build.toArray(String[]::new));
    return new QemuKit(program.orElseThrow(), kernel.orElseThrow(), initramfs);
  }

  /**
   * The same with an initramfs whose guest can have virtio's network card and balloon.
   *
   * @throws IOException if the kernel's modules are not where they belong
   * @throws InterruptedException if this thread was interrupted
   */
  public QemuKit withDevices() throws IOException, InterruptedException {
    Path other = initramfs.resolveSibling("initramfs-devices");
    SystemCommand.run(checkout().resolve(BUILD).toString(), other.toString(), kernel.toString());
    return new QemuKit(program, kernel, other);
  }

  /**
   * The same guest in the QEMU that {@link #OTHER_PROGRAM_VARIABLE} names.
   *
   * @throws NotInstalled if it names none
   * @throws IOException if what it names cannot be run
   */
  public QemuKit ofOtherRelease() throws IOException {
    @Nullable String named = System.getenv(OTHER_PROGRAM_VARIABLE);
    if (named == null || named.isEmpty()) {
      throw new NotInstalled(
          "%s names no QEMU of another release; docker/qemu-guest/newer-qemu makes one"
              .formatted(OTHER_PROGRAM_VARIABLE));
    }
    return new QemuKit(executable(OTHER_PROGRAM_VARIABLE, named), kernel, initramfs);
  }

  private static Path executable(String variable, String named) throws IOException {
    Path program = Path.of(named).toAbsolutePath();
    if (!Files.isExecutable(program)) {
      throw new IOException("%s names no program: %s".formatted(variable, named));
    }
    return program;
  }

  private static Optional<Path> onPath(String program) {
    @Nullable String path = System.getenv("PATH");
    return Stream.of((path == null ? "" : path).split(File.pathSeparator))
        .filter(folder -> !folder.isEmpty())
        .map(folder -> Path.of(folder, program))
        .filter(Files::isExecutable)
        .findFirst();
  }

  /** One without a driver for every machine boots soonest, so the cloud's is preferred. */
  private static Optional<Path> usualKernel() throws IOException {
    @Nullable String named = System.getenv(KERNEL_VARIABLE);
    if (named != null && !named.isEmpty()) {
      return Optional.of(Path.of(named));
    }
    if (!Files.isDirectory(BOOT)) {
      return Optional.empty();
    }
    try (Stream<Path> files = Files.list(BOOT)) {
      return files
          .filter(file -> file.getFileName().toString().startsWith("vmlinuz-"))
          .filter(Files::isReadable)
          .max(
              Comparator.comparing((Path file) -> file.toString().contains("cloud"))
                  .thenComparing(Comparator.naturalOrder()));
    }
  }

  /** The launcher says where it is; a test runs in a folder of the checkout. */
  private static Path checkout() throws IOException {
    @Nullable String launcher = System.getenv("PAGEFERRY_LAUNCHER");
    @Nullable Path folder = launcher == null ? Path.of("").toAbsolutePath() : Path.of(launcher);
    for (; folder != null; folder = folder.getParent()) {
      if (Files.exists(folder.resolve(BUILD))) {
        return folder;
      }
    }
    throw new IOException("the guest for QEMU is built by " + BUILD + " of a checkout, not here");
  }
}
