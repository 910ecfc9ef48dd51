package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.ProtocolException;

/**
 * The versions one side speaks. Version N speaks N and N-1.
 *
 * @param min lowest, 1 to 65535
 * @param max highest, {@code min} to 65535
 */
public record VersionRange(int min, int max) {
  /** What this program speaks. */
  public static final VersionRange CURRENT = new VersionRange(1, 1);

  public VersionRange {
    Bounds.check("lowest version", min, 1, 0xFFFF);
    Bounds.check("highest version", max, min, 0xFFFF);
  }

  /**
   * The highest version both sides speak.
   *
   * @throws ProtocolException {@link AbortReason#VERSION_MISMATCH} if there is none
   */
  public int choose(VersionRange peer) throws ProtocolException {
    int highest = Math.min(max, peer.max);
    if (highest < Math.max(min, peer.min)) {
      throw new ProtocolException(
          AbortReason.VERSION_MISMATCH,
          "this side speaks protocol versions " + this + ", the other " + peer);
    }
    return highest;
  }

  @Override
  public String toString() {
    return min == max ? Integer.toString(min) : min + " to " + max;
  }
}
