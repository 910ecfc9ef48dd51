package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;

/**
 * The guest runs on the target, and that it was taken over is on the target's disk. All times in
 * microseconds.
 *
 * @param takeOverMicros from the receipt of {@link Commit} until the guest ran
 * @param guestDowntimeMicros what the guest itself saw, 0 for unknown
 * @param deviceLoadMicros loading the device state
 * @param ledgerMicros writing the ledger
 * @param startMicros starting the guest
 */
public record Started(
    long takeOverMicros,
    long guestDowntimeMicros,
    long deviceLoadMicros,
    long ledgerMicros,
    long startMicros)
    implements Message {
  public Started {
    Bounds.checkCount("take-over time", takeOverMicros);
    Bounds.checkCount("guest downtime", guestDowntimeMicros);
    Bounds.checkCount("device load time", deviceLoadMicros);
    Bounds.checkCount("ledger time", ledgerMicros);
    Bounds.checkCount("start time", startMicros);
  }

  @Override
  public FrameType type() {
    return FrameType.STARTED;
  }
}
