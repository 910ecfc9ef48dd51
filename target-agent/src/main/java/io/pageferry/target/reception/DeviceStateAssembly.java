package io.pageferry.target.reception;

import io.pageferry.protocol.message.AbortReason;
import io.pageferry.protocol.message.DeviceState;
import io.pageferry.target.MigrationAborted;
import java.io.ByteArrayOutputStream;

/** Puts the pieces of the device state together. One thread. */
final class DeviceStateAssembly {
  private final int limit;
  private final ByteArrayOutputStream whole = new ByteArrayOutputStream();
  private boolean complete;

  /**
   * @param limit bytes this host takes at most
   */
  DeviceStateAssembly(int limit) {
    this.limit = limit;
  }

  void add(DeviceState piece) throws MigrationAborted {
    if (complete || piece.offset() != whole.size()) {
      throw new MigrationAborted(
          AbortReason.PROTOCOL_VIOLATION,
          "a piece of device state at " + piece.offset() + " where " + whole.size() + " was due");
    }
    if (piece.offset() + piece.bytes().length > limit) {
      throw new MigrationAborted(
          AbortReason.QUOTA,
          "the device state is larger than the " + limit + " bytes the target takes");
    }
    whole.writeBytes(piece.bytes());
    complete = piece.last();
  }

  /** All of it. */
  byte[] complete() throws MigrationAborted {
    if (!complete) {
      throw new MigrationAborted(
          AbortReason.PROTOCOL_VIOLATION, "the digest came before the device state was complete");
    }
    return whole.toByteArray();
  }
}
