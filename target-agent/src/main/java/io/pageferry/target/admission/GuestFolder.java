package io.pageferry.target.admission;

import io.pageferry.guest.description.DescriptionException;
import io.pageferry.guest.description.GuestDescription;
import io.pageferry.protocol.message.AbortReason;
import io.pageferry.target.MigrationAborted;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;

/**
 * The descriptions of the guests that may come here, one file {@code NAME.yaml} each.
 *
 * <p>The name comes from the peer and becomes part of a path: what is not plainly a name is refused
 * before a file system sees it.
 */
public final class GuestFolder {
  /** Letters, digits, {@code - _ .}; no dot in front, so neither {@code ..} nor a hidden file. */
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}");

  private final Path folder;

  public GuestFolder(Path folder) {
    this.folder = folder.toAbsolutePath().normalize();
  }

  public Path path() {
    return folder;
  }

  /**
   * The description of that guest.
   *
   * @throws MigrationAborted GUEST_UNKNOWN when there is none, or none that can be used
   */
  public GuestDescription describe(String guest) throws MigrationAborted {
    checkName(guest);
    Path file = folder.resolve(guest + ".yaml");
    if (!Files.isRegularFile(file)) {
      throw new MigrationAborted(
          AbortReason.GUEST_UNKNOWN,
          "the target has no description of a guest '"
              + guest
              + "': put "
              + guest
              + ".yaml into its --guests folder");
    }
    GuestDescription description;
    try {
      description = GuestDescription.load(file);
    } catch (DescriptionException e) {
      throw new MigrationAborted(
          AbortReason.GUEST_UNKNOWN,
          "the target cannot use its description of '" + guest + "': " + e.getMessage(),
          e);
    }
    if (!description.name().equals(guest)) {
      throw new MigrationAborted(
          AbortReason.GUEST_UNKNOWN,
          "the target's " + guest + ".yaml describes a guest named '" + description.name() + "'");
    }
    return description;
  }

  /** Refuses what is not plainly a name. */
  static void checkName(String guest) throws MigrationAborted {
    if (!NAME.matcher(guest).matches()) {
      throw new MigrationAborted(
          AbortReason.GUEST_UNKNOWN,
          "the guest's name has 1 to 64 letters, digits, '-', '_' or '.', and no dot in front");
    }
  }
}
