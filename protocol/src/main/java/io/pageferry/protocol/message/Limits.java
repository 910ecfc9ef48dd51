package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameHeader;

/**
 * What a side is ready to receive. What holds for a migration is the lower of both.
 *
 * @param maxPayloadBytes longest payload of a frame, 64 KiB to 1 MiB
 * @param maxDataChannels 1 to 16
 * @param maxRunsPerBatch runs in one page batch, 16 to 1024
 */
public record Limits(int maxPayloadBytes, int maxDataChannels, int maxRunsPerBatch) {
  public static final int MIN_PAYLOAD_BYTES = 64 << 10;
  public static final int MAX_DATA_CHANNELS = 16;
  public static final int MIN_RUNS_PER_BATCH = 16;
  public static final int MAX_RUNS_PER_BATCH = 1024;

  /** What this program is ready to receive. */
  public static final Limits CURRENT =
      new Limits(FrameHeader.MAX_PAYLOAD, MAX_DATA_CHANNELS, MAX_RUNS_PER_BATCH);

  public Limits {
    Bounds.check("longest payload", maxPayloadBytes, MIN_PAYLOAD_BYTES, FrameHeader.MAX_PAYLOAD);
    Bounds.check("number of data channels", maxDataChannels, 1, MAX_DATA_CHANNELS);
    Bounds.check("number of runs", maxRunsPerBatch, MIN_RUNS_PER_BATCH, MAX_RUNS_PER_BATCH);
  }

  /** The lower of each. */
  public Limits intersect(Limits other) {
    return new Limits(
        Math.min(maxPayloadBytes, other.maxPayloadBytes),
        Math.min(maxDataChannels, other.maxDataChannels),
        Math.min(maxRunsPerBatch, other.maxRunsPerBatch));
  }
}
