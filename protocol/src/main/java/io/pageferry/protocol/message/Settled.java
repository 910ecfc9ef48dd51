package io.pageferry.protocol.message;

import io.pageferry.protocol.frame.FrameType;

/**
 * Post-copy is over: every page is at the target, and its guest does not depend on the source any
 * more. With it the target says what post-copy was like.
 *
 * @param high upper 64 bits of the target's own running digest
 * @param low lower 64 bits
 * @param comparison with the source's {@link DigestValue}
 * @param faults page faults that were sent over the network
 * @param localFaults page faults that were settled at the target: zero pages, and pages that had
 *     just landed
 * @param avoided pages that landed before anybody waited for them
 * @param duplicates pages that came although they were there
 * @param removedPages pages that the guest gave back before they came
 * @param p50Nanos median time from reading a fault to its page being there, of faults that were
 *     sent over the network; 0 if there was none
 * @param p99Nanos 99th percentile of it
 * @param maxNanos the longest
 * @param guestMilliOpsPerSecond what the guest did while pages were missing, in thousandths of its
 *     operations a second; 0 for unknown
 * @param afterMilliOpsPerSecond the same when it had all of them, of its first moment so
 */
public record Settled(
    long high,
    long low,
    Comparison comparison,
    long faults,
    long localFaults,
    long avoided,
    long duplicates,
    long removedPages,
    long p50Nanos,
    long p99Nanos,
    long maxNanos,
    long guestMilliOpsPerSecond,
    long afterMilliOpsPerSecond)
    implements Message {
  public Settled {
    Bounds.checkCount("faults", faults);
    Bounds.checkCount("local faults", localFaults);
    Bounds.checkCount("avoided faults", avoided);
    Bounds.checkCount("duplicates", duplicates);
    Bounds.checkCount("removed pages", removedPages);
    Bounds.checkCount("median latency", p50Nanos);
    Bounds.checkCount("99th percentile of latency", p99Nanos);
    Bounds.checkCount("longest latency", maxNanos);
    Bounds.checkCount("guest operations", guestMilliOpsPerSecond);
    Bounds.checkCount("guest operations afterwards", afterMilliOpsPerSecond);
  }

  @Override
  public FrameType type() {
    return FrameType.SETTLED;
  }
}
