package io.pageferry.integration.process;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A small Linux guest in QEMU as it is started on both hosts, without KVM, which not every machine
 * has. Its only program writes to its memory, checks it, and says so on the serial line; or it runs
 * the distribution's Redis, works with it and checks what it answers.
 *
 * @param name its name
 * @param kit what it is made of
 * @param memoryMiB its memory
 * @param content what its program fills of it
 * @param pagesPerSecond how many pages it writes
 * @param machine its machine type, with a version: both hosts have to agree on it
 * @param backing what its memory is
 * @param memoryOptions what is said of its memory besides what, where and how much
 * @param address where it is reached on a {@link GuestNetwork}, ADDRESS/PREFIX, or null for a guest
 *     without a network card
 * @param database what it does instead of filling its memory by itself, or null
 * @param more further options of QEMU
 */
public record QemuGuestSpec(
    String name,
    QemuKit kit,
    int memoryMiB,
    Content content,
    long pagesPerSecond,
    String machine,
    Backing backing,
    String memoryOptions,
    @Nullable String address,
    @Nullable DatabaseLoad database,
    List<String> more)
    implements GuestSpec {
  /** The hardware address of its network card. */
  public static final String CARD = "52:54:00:70:66:01";

  /** The least memory in which its kernel runs and something is left to write to. */
  public static final int LEAST_MIB = 160;

  /** What the kernel takes. */
  private static final int KERNEL_MIB = 112;

  private static final int MOST_WORKING_MIB = 64;

  /** What a guest's memory is in QEMU. */
  public enum Backing {
    /** A file, which others can map. */
    FILE,
    /** QEMU's own: nobody but itself can move it. */
    ANONYMOUS
  }

  /**
   * What a guest's program fills, in MiB.
   *
   * @param working what it goes on writing, half of it text and half of it noise
   * @param text written once, and looks like text
   * @param noise written once, and does not compress
   */
  public record Content(int working, int text, int noise) {
    /** A bit of everything, all that the kernel leaves. */
    static Content of(int memoryMiB) {
      int free = memoryMiB - KERNEL_MIB;
      int working = Math.min(MOST_WORKING_MIB, free / 4);
      int text = (free - working) / 2;
      return new Content(working, text, free - working - text);
    }
  }

  /** A defensive copy. */
  public QemuGuestSpec {
    more = List.copyOf(more);
  }

  /** A guest that can be moved. */
  public static QemuGuestSpec of(String name, QemuKit kit, int memoryMiB, long pagesPerSecond) {
    return new QemuGuestSpec(
        name,
        kit,
        memoryMiB,
        Content.of(memoryMiB),
        pagesPerSecond,
        "pc-i440fx-7.2",
        Backing.FILE,
        "share=on",
        null,
        null,
        List.of());
  }

  /**
   * A guest that can be moved and serves a database. Its kernel says which memory is free.
   *
   * @param kit as {@link QemuKit#prepareDatabase} makes it
   */
  public static QemuGuestSpec ofDatabase(
      String name, QemuKit kit, int memoryMiB, DatabaseLoad load) {
    return new QemuGuestSpec(
        name,
        kit,
        memoryMiB,
        new Content(0, 0, 0),
        0,
        "pc-i440fx-7.2",
        Backing.FILE,
        "share=on",
        null,
        load,
        List.of("-device", "virtio-balloon-pci,free-page-reporting=on"));
  }

  /** The same guest in another QEMU. */
  public QemuGuestSpec in(QemuKit other) {
    return new QemuGuestSpec(
        name,
        other,
        memoryMiB,
        content,
        pagesPerSecond,
        machine,
        backing,
        memoryOptions,
        address,
        database,
        more);
  }

  /** The same guest with another machine type. */
  public QemuGuestSpec withMachine(String other) {
    return new QemuGuestSpec(
        name,
        kit,
        memoryMiB,
        content,
        pagesPerSecond,
        other,
        backing,
        memoryOptions,
        address,
        database,
        more);
  }

  /** The same guest with another size of memory. */
  public QemuGuestSpec withMemory(int otherMiB) {
    return new QemuGuestSpec(
        name,
        kit,
        otherMiB,
        Content.of(otherMiB),
        pagesPerSecond,
        machine,
        backing,
        memoryOptions,
        address,
        database,
        more);
  }

  /** The same guest with memory of another kind. */
  public QemuGuestSpec withMemoryOptions(String other) {
    return new QemuGuestSpec(
        name,
        kit,
        memoryMiB,
        content,
        pagesPerSecond,
        machine,
        backing,
        other,
        address,
        database,
        more);
  }

  /**
   * The same guest with a network card; its kit must be one {@linkplain QemuKit#withDevices for
   * it}.
   */
  public QemuGuestSpec withAddress(String other) {
    return new QemuGuestSpec(
        name,
        kit,
        memoryMiB,
        content,
        pagesPerSecond,
        machine,
        backing,
        memoryOptions,
        other,
        database,
        more);
  }

  /** The same guest with other things in its memory. */
  public QemuGuestSpec withContent(Content other) {
    return new QemuGuestSpec(
        name,
        kit,
        memoryMiB,
        other,
        pagesPerSecond,
        machine,
        backing,
        memoryOptions,
        address,
        database,
        more);
  }

  /** The same guest, of another name, with memory that is QEMU's own. */
  public QemuGuestSpec inItsOwnMemory(String otherName) {
    return new QemuGuestSpec(
        otherName,
        kit,
        memoryMiB,
        content,
        pagesPerSecond,
        machine,
        Backing.ANONYMOUS,
        "share=off",
        address,
        database,
        more);
  }

  /** The same guest with further options of QEMU. */
  public QemuGuestSpec with(String... options) {
    return new QemuGuestSpec(
        name,
        kit,
        memoryMiB,
        content,
        pagesPerSecond,
        machine,
        backing,
        memoryOptions,
        address,
        database,
        List.of(options));
  }

  @Override
  public List<Path> images(Path imageFolder) {
    return backing == Backing.FILE ? List.of(imageFolder.resolve(name + ".ram")) : List.of();
  }

  /** Where its serial line's socket is in a host's folder. */
  public Path console(Path folder) {
    return folder.resolve(name + ".serial");
  }

  @Override
  public List<String> command(Path folder, Path imageFolder, boolean incoming) {
    List<String> command = machine(folder, imageFolder);
    if (incoming) {
      command.addAll(List.of("-S", "-incoming", "defer"));
    }
    return command;
  }

  /** The command that runs it when QEMU moves it by itself: it runs as soon as it has arrived. */
  List<String> commandOfQemusOwnTarget(Path folder, Path imageFolder) {
    List<String> command = machine(folder, imageFolder);
    command.addAll(List.of("-incoming", "defer"));
    return command;
  }

  private List<String> machine(Path folder, Path imageFolder) {
    List<String> command = new ArrayList<>();
    command.add(kit.program().toString());
    command.addAll(List.of("-name", name, "-accel", "tcg", "-nodefaults", "-no-user-config"));
    command.addAll(List.of("-display", "none", "-m", Integer.toString(memoryMiB)));
    command.addAll(List.of("-machine", machine + ",memory-backend=mem"));
    String memory = "id=mem,size=%dM,%s".formatted(memoryMiB, memoryOptions);
    command.addAll(
        List.of(
            "-object",
            backing == Backing.FILE
                ? "memory-backend-file,%s,mem-path=%s"
                    .formatted(memory, images(imageFolder).getFirst())
                : "memory-backend-ram," + memory));
    command.addAll(
        List.of("-kernel", kit.kernel().toString(), "-initrd", kit.initramfs().toString()));
    command.addAll(List.of("-append", kernelArguments()));
    command.addAll(
        List.of(
            "-chardev",
            "socket,id=console,server=on,wait=off,path=" + console(folder),
            "-serial",
            "chardev:console"));
    if (address != null) {
      // vhost would have the kernel write the guest's memory, where nobody can follow.
      command.addAll(
          List.of(
              "-netdev",
              "tap,id=net,vhost=off,script=no,downscript=no,ifname=" + GuestNetwork.TAP,
              "-device",
              "virtio-net-pci,netdev=net,romfile=,mac=" + CARD));
    }
    command.addAll(more);
    command.addAll(List.of("-qmp", "unix:" + qmp(folder) + ",server=on,wait=off"));
    return command;
  }

  private String kernelArguments() {
    return "console=ttyS0 quiet loglevel=0 "
        + (database == null
            ? "pageferry_working=%d pageferry_text=%d pageferry_noise=%d pageferry_rate=%d"
                .formatted(content.working(), content.text(), content.noise(), pagesPerSecond)
            : database.kernelArguments())
        // With IPv6 it would say something of its own every now and then.
        + (address == null ? "" : " ipv6.disable=1 pageferry_address=" + address);
  }
}
