package io.pageferry.guest.control;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * What a QEMU says of the machine that it runs or waits to run.
 *
 * @param version QEMU's own, as {@code 7.2.22}
 * @param type the machine type with its version, as {@code pc-i440fx-7.2}
 * @param memory the backends of its memory, in the order of their names
 * @param devices the devices that its command line added, as {@code virtio-net-pci (net0)}
 * @param strangers those of them that write guest memory through mappings that are not QEMU's
 * @param blockers why its state cannot be saved as things are, in QEMU's words
 * @param leavesSharedMemoryOut whether memory in shared files stays out of its device state
 */
public record QemuMachine(
    String version,
    String type,
    List<Backend> memory,
    List<String> devices,
    List<String> strangers,
    List<String> blockers,
    boolean leavesSharedMemoryOut) {
  public QemuMachine {
    memory = List.copyOf(memory);
    devices = List.copyOf(devices);
    strangers = List.copyOf(strangers);
    blockers = List.copyOf(blockers);
  }

  /**
   * What must be the same on both hosts for a device state to load, a part a line. QEMU's own
   * version is not of them: that is what versioned machine types are for.
   */
  public List<String> parts() {
    Stream<String> added = devices.stream().map(device -> "device " + device).sorted();
    return Stream.concat(Stream.of("machine type " + type), added).toList();
  }

  /**
   * A piece of a QEMU's memory.
   *
   * @param id its {@code -object}'s id, or what QEMU calls the memory of {@code -m}
   * @param file as its command line names it; empty for memory that is in no file with a name
   * @param shared whether others who map the file see what the guest writes
   */
  public record Backend(String id, Optional<Path> file, long bytes, boolean shared) {}
}
