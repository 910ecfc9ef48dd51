package io.pageferry.protocol.message;

/**
 * Why a migration ends early, in terms both sides understand. The codes are the wire's; 0 is never
 * valid. A code from a later version reads as {@link #INTERNAL}; the text beside it still tells.
 */
public enum AbortReason {
  /** Somebody cancelled. */
  CANCELLED(1, false),
  /** The version ranges of both sides have nothing in common. */
  VERSION_MISMATCH(2, true),
  /** A message that is not allowed, or not allowed now. */
  PROTOCOL_VIOLATION(3, false),
  /** A checksum was wrong. */
  CORRUPT_FRAME(4, false),
  /** This peer may not send this guest here. */
  NOT_AUTHORISED(5, true),
  /** A join token that was never given out, or was used before, or by another peer. */
  BAD_TOKEN(6, false),
  /** The guest of this name is already migrating or running here, or no more migrations fit. */
  BUSY(7, true),
  /** More than the target lets this peer have. */
  QUOTA(8, true),
  /** The target has no description of this guest. */
  GUEST_UNKNOWN(9, true),
  /** Number or sizes of the memory regions differ between the two sides. */
  LAYOUT_MISMATCH(10, true),
  /** The target cannot reserve the memory. */
  NO_MEMORY(11, true),
  /** A device that the guest needs is missing. */
  NO_SUCH_DEVICE(12, true),
  /** A file is not a memory image. */
  NOT_AN_IMAGE(13, true),
  /** A file or kernel feature may not be used. */
  NO_PERMISSION(14, true),
  /** The file system cannot hold a file of this size. */
  FILE_TOO_LARGE(15, true),
  /** Another migration holds the image. */
  LOCKED(16, true),
  /** Dirty pages cannot be followed. */
  CANNOT_TRACK(17, true),
  /** The target would have to overwrite an image. */
  IMAGE_EXISTS(18, true),
  /** Pausing, starting, saving or loading failed. */
  GUEST_CONTROL_FAILED(19, false),
  /** The guest's process ended. */
  GUEST_ENDED(20, false),
  /** What landed is not what was sent. */
  DIGEST_MISMATCH(21, false),
  /** The guest on the target did not take the device state. */
  DEVICE_STATE_REJECTED(22, false),
  /** Reading or writing an image or ledger failed. */
  IO_ERROR(23, false),
  /** Nothing was heard from the peer for too long. */
  PEER_SILENT(24, false),
  /** The agent is being stopped. */
  SHUTTING_DOWN(25, false),
  /** The guest writes faster than the link carries. */
  STALLED(26, false),
  /** A defect of this program, or a reason of a later version. */
  INTERNAL(27, false);

  private final int code;
  private final boolean refusal;

  AbortReason(int code, boolean refusal) {
    this.code = code;
    this.refusal = refusal;
  }

  /** The number on the wire, 1 to 65535. */
  public int code() {
    return code;
  }

  /** Whether this is mostly found in the preflight, before anything has changed. */
  public boolean refusal() {
    return refusal;
  }

  /**
   * The reason with this number, {@link #INTERNAL} for one of a later version.
   *
   * @throws IllegalArgumentException for 0
   */
  public static AbortReason of(int code) {
    if (code == 0) {
      throw new IllegalArgumentException("abort reason 0");
    }
    for (AbortReason reason : values()) {
      if (reason.code == code) {
        return reason;
      }
    }
    return INTERNAL;
  }
}
