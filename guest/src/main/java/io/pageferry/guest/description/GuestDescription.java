package io.pageferry.guest.description;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * A guest as its file describes it. Immutable; every path is absolute, resolved against the folder
 * of the file.
 *
 * @param file the file that it was read from, absolute
 * @param name 1 to 64 letters, digits, {@code - _ .}, not beginning with a dot: it becomes part of
 *     file names
 * @param memory the regions in guest order, at least one
 * @param attach whether the guest's process may be attached to for its memory
 * @param handover the Unix socket where the target listens for a guest without files, which hands
 *     its memory over by itself when it loads its state; a guest with files is asked by QMP for
 *     that, or attached to
 * @param launch the command that starts the guest paused and waiting for its device state; empty
 *     when it is not for us to start. To be run in {@link #folder()}; a relative program name with
 *     a slash has been resolved already
 * @param log where the launched guest's output goes; absent: nowhere
 */
public record GuestDescription(
    Path file,
    String name,
    List<MemoryDescription> memory,
    ControlDescription control,
    Tracking tracking,
    Attaching attach,
    Optional<Path> handover,
    List<String> launch,
    Optional<Path> log,
    Afterwards afterwards) {

  public GuestDescription {
    memory = List.copyOf(memory);
    launch = List.copyOf(launch);
    if (memory.isEmpty()) {
      throw new IllegalArgumentException("a guest without memory");
    }
  }

  /** Whether the guest's memory is in no file; then there is a {@link #handover} socket. */
  public boolean anonymousMemory() {
    return memory.getFirst().anonymous();
  }

  /** The folder of the file: what relative paths refer to, and where {@code launch} runs. */
  public Path folder() {
    Path folder = file.getParent();
    return folder == null ? file : folder;
  }

  /**
   * Reads a description.
   *
   * @throws DescriptionException when the file cannot be read, is not YAML, or says something that
   *     a description cannot say
   */
  public static GuestDescription load(Path file) throws DescriptionException {
    return new DescriptionReader(file).read();
  }
}
