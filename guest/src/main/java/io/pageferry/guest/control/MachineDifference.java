package io.pageferry.guest.control;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What two machines do not have in common. */
public final class MachineDifference {
  /** More than this many say nothing that the first ones did not. */
  private static final int NAMED = 4;

  private MachineDifference() {}

  /**
   * Compares them part by part; a part that is there twice counts twice.
   *
   * @param source the parts of the source's machine, {@link QemuMachine#parts}
   * @param target those of the target's
   * @return the difference and what to do, as the middle of a sentence; empty if there is none
   */
  public static Optional<String> between(List<String> source, List<String> target) {
    List<String> onlySource = new ArrayList<>(source);
    target.forEach(onlySource::remove);
    List<String> onlyTarget = new ArrayList<>(target);
    source.forEach(onlyTarget::remove);
    List<String> sides = new ArrayList<>();
    if (!onlySource.isEmpty()) {
      sides.add("only the source's has " + listed(onlySource));
    }
    if (!onlyTarget.isEmpty()) {
      sides.add("only the target's has " + listed(onlyTarget));
    }
    return sides.isEmpty()
        ? Optional.empty()
        : Optional.of(
            "the two machines differ: %s; start both with the same machine type and devices"
                .formatted(String.join(", and ", sides)));
  }

  private static String listed(List<String> parts) {
    String first = String.join(", ", parts.subList(0, Math.min(NAMED, parts.size())));
    return parts.size() > NAMED ? "%s and %d more".formatted(first, parts.size() - NAMED) : first;
  }
}
