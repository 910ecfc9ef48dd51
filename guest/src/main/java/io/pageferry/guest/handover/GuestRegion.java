package io.pageferry.guest.handover;

import io.pageferry.guest.image.GuestImage;
import java.util.List;

/**
 * One region of a guest's memory as both hosts know it, be it a file or not.
 *
 * @param name for messages
 * @param bytes a multiple of 4096
 */
public record GuestRegion(String name, long bytes) {
  /** Those of an image, in order. */
  public static List<GuestRegion> of(GuestImage image) {
    return image.regions().stream()
        .map(region -> new GuestRegion(region.name(), region.bytes()))
        .toList();
  }
}
