package io.pageferry.guest.control;

import io.pageferry.guest.image.ImageRegion;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * Whether a QEMU's guest can be moved from outside: all of its memory is in the described files,
 * and QEMU can save the rest.
 */
public final class QemuFitness {
  private QemuFitness() {}

  /**
   * What speaks against it.
   *
   * @param images the memory as the guest's description has it, in any order
   * @return what is wrong and what to change, as the middle of a sentence; empty when nothing is
   */
  public static Optional<String> objection(QemuMachine machine, List<ImageRegion> images) {
    if (!machine.leavesSharedMemoryOut()) {
      return Optional.of(
          "QEMU "
              + machine.version()
              + " cannot leave its memory out of its device state (capability "
              + QmpControl.IGNORE_SHARED
              + "): use QEMU 7.2 or newer");
    }
    if (!machine.strangers().isEmpty()) {
      return Optional.of(
          "QEMU's %s writes guest memory where nobody can follow: start QEMU without it (vhost=off,"
                  .formatted(machine.strangers().getFirst())
              + " or an emulated device)");
    }
    if (!machine.blockers().isEmpty()) {
      return Optional.of(
          "QEMU cannot save this guest's state: " + String.join("; ", machine.blockers()));
    }
    for (QemuMachine.Backend backend : machine.memory()) {
      Optional<String> objection = objection(backend, images);
      if (objection.isPresent()) {
        return objection;
      }
    }
    if (machine.memory().size() != images.size()) {
      return Optional.of(
          ("QEMU has %d memory backends and the guest's description %d memory files: list each"
                  + " backend's mem-path under 'memory'")
              .formatted(machine.memory().size(), images.size()));
    }
    return Optional.empty();
  }

  private static Optional<String> objection(QemuMachine.Backend backend, List<ImageRegion> images) {
    if (backend.file().isEmpty() || !backend.shared()) {
      return Optional.of(
          "QEMU keeps its memory '%s' to itself%s: start it with '-object memory-backend-file,id=mem,"
                  .formatted(
                      backend.id(), backend.file().isPresent() ? " (it has no share=on)" : "")
              + "size=%d,mem-path=%s,share=on -machine TYPE,memory-backend=mem'"
                  .formatted(backend.bytes(), images.getFirst().path()));
    }
    Path file = backend.file().get();
    Optional<ImageRegion> image =
        images.stream().filter(region -> isSame(file, region.path())).findFirst();
    if (image.isEmpty()) {
      if (Files.notExists(file)) {
        // It sees other folders than we do; what can be compared is the size.
        image = images.stream().filter(region -> region.bytes() == backend.bytes()).findFirst();
      }
      if (image.isEmpty()) {
        return Optional.of(
            "QEMU has its memory '%s' in %s, which the guest's description does not name"
                .formatted(backend.id(), file));
      }
    }
    if (image.get().bytes() != backend.bytes()) {
      return Optional.of(
          "QEMU's memory '%s' has %d MiB and its file %s %d MiB: give QEMU the size of the file"
              .formatted(backend.id(), backend.bytes() >> 20, file, image.get().bytes() >> 20));
    }
    return Optional.empty();
  }

  private static boolean isSame(Path one, Path other) {
    try {
      return Files.isSameFile(one, other);
    } catch (IOException e) {
      return false;
    }
  }
}
