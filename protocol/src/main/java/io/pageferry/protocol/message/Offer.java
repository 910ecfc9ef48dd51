package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;
import java.util.List;
import java.util.UUID;

/**
 * What the source would like to send.
 *
 * @param migration never {@link Hello#NO_MIGRATION}
 * @param guest name of the guest, under which the target has its own description of it: up to 64
 *     letters, digits, points, hyphens and underscores, so that it is safe in a file name
 * @param mode how the memory moves
 * @param postcopy whether the source would like to end by post-copy; {@link PostcopyWish#REQUIRED}
 *     in the modes that cannot do without
 * @param regions 1 to {@value #MAX_REGIONS}; a region's number is its place here
 * @param dataChannels how many the source wants, 1 to 16
 * @param verifyFull whether both sides reread their images during the pause
 * @param downtimeLimitMicros what the source's user allows, 0 for unknown
 * @param machine what the guest's machine is made of, a part a line for people; the target refuses
 *     a guest of its own that is made of others, because its device state would not load. Up to
 *     {@value #MAX_MACHINE_PARTS}, each of 1 to {@value #MAX_PART_BYTES} bytes; empty if it is not
 *     known
 */
public record Offer(
    UUID migration,
    String guest,
    MigrationMode mode,
    PostcopyWish postcopy,
    List<RegionOffer> regions,
    int dataChannels,
    boolean verifyFull,
    long downtimeLimitMicros,
    List<String> machine)
    implements Message {
  public static final int MAX_GUEST_BYTES = 64;
  public static final int MAX_REGIONS = 1024;
  public static final int MAX_MACHINE_PARTS = 256;
  public static final int MAX_PART_BYTES = 255;

  public Offer {
    if (migration.equals(Hello.NO_MIGRATION)) {
      throw new IllegalArgumentException("an offer without an identity");
    }
    Bounds.checkName("guest name", guest, MAX_GUEST_BYTES);
    boolean needed = mode == MigrationMode.POSTCOPY || mode == MigrationMode.HYBRID;
    if (needed && postcopy != PostcopyWish.REQUIRED) {
      throw new IllegalArgumentException("mode " + mode + " without post-copy");
    }
    regions = List.copyOf(regions);
    Bounds.check("number of regions", regions.size(), 1, MAX_REGIONS);
    Bounds.check("number of data channels", dataChannels, 1, Limits.MAX_DATA_CHANNELS);
    Bounds.checkCount("downtime limit", downtimeLimitMicros);
    machine = List.copyOf(machine);
    Bounds.check("number of the machine's parts", machine.size(), 0, MAX_MACHINE_PARTS);
    for (String part : machine) {
      Bounds.checkText("a machine's part", part, MAX_PART_BYTES);
      Bounds.check("length of a machine's part", part.length(), 1, MAX_PART_BYTES);
    }
  }

  /**
   * As much of a machine as an offer carries; whoever compares cuts his own in the same way.
   *
   * @param parts of any number and length, without control characters
   */
  public static List<String> machineOf(List<String> parts) {
    return parts.stream()
        .filter(part -> !part.isEmpty())
        .map(part -> part.substring(0, Math.min(part.length(), MAX_PART_BYTES / 3)))
        .limit(MAX_MACHINE_PARTS)
        .toList();
  }

  @Override
  public FrameType type() {
    return FrameType.OFFER;
  }
}
