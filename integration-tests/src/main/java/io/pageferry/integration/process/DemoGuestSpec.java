package io.pageferry.integration.process;

import io.pageferry.guest.units.ByteSize;
import io.pageferry.guest.units.UnitFormatException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * A demo guest as it is started on both hosts. Both sides get the same options: what the guest
 * writes follows from them and from its registers, which travel as device state.
 *
 * @param name its name, also of its folders and description files
 * @param memory size as a user writes it, of all regions together
 * @param regions number of memory regions
 * @param pattern what it writes
 * @param dirtyRate bytes dirtied a second as a user writes it; 0 for a guest that runs but does not
 *     write
 * @param more further options, as on the command line
 */
public record DemoGuestSpec(
    String name, String memory, int regions, String pattern, String dirtyRate, List<String> more)
    implements GuestSpec {

  /** A guest of one region that writes uniformly. */
  public static DemoGuestSpec uniform(String name, String memory, String dirtyRate) {
    return new DemoGuestSpec(name, memory, 1, "uniform", dirtyRate, List.of());
  }

  /** The same guest with another pattern. */
  public DemoGuestSpec withPattern(String other) {
    return new DemoGuestSpec(name, memory, regions, other, dirtyRate, more);
  }

  /** The same guest with another number of regions. */
  public DemoGuestSpec withRegions(int other) {
    return new DemoGuestSpec(name, memory, other, pattern, dirtyRate, more);
  }

  /** The same guest with further options. */
  public DemoGuestSpec with(String... options) {
    List<String> all = new ArrayList<>(more);
    all.addAll(List.of(options));
    return new DemoGuestSpec(name, memory, regions, pattern, dirtyRate, all);
  }

  @Override
  public List<Path> images(Path imageFolder) {
    return IntStream.range(0, regions)
        .mapToObj(region -> imageFolder.resolve(name + ".ram" + region))
        .toList();
  }

  @Override
  public List<String> command(Path folder, Path imageFolder, boolean incoming) {
    return JavaCommand.of(Program.GUEST, arguments(folder, imageFolder, incoming));
  }

  /** How many pages its memory has. */
  public long pages() {
    try {
      return ByteSize.parse(memory) / 4096;
    } catch (UnitFormatException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Its command line's arguments.
   *
   * @param folder the host's folder for sockets
   * @param imageFolder the host's folder for images
   * @param incoming whether it waits for its state, as on the target
   */
  public List<String> arguments(Path folder, Path imageFolder, boolean incoming) {
    List<String> arguments = new ArrayList<>();
    arguments.add("--image");
    arguments.add(
        images(imageFolder).stream().map(Path::toString).collect(Collectors.joining(",")));
    arguments.addAll(List.of("--memory", memory, "--qmp", qmp(folder).toString()));
    arguments.addAll(List.of("--pattern", pattern, "--dirty-rate", dirtyRate));
    arguments.addAll(more);
    if (incoming) {
      // The agent made the image there; when the guest ends for good nobody else removes it.
      arguments.add("--remove-image");
      arguments.add("--incoming");
    }
    return arguments;
  }
}
