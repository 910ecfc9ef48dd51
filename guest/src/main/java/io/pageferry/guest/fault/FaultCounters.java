package io.pageferry.guest.fault;

import java.util.concurrent.atomic.LongAdder;
import org.HdrHistogram.ConcurrentHistogram;
import org.HdrHistogram.Histogram;

/** What {@link FaultStatistics} is made of. Any thread. */
final class FaultCounters {
  private static final long LONGEST_NANOS = 24L * 3600 * 1_000_000_000;

  final LongAdder faults = new LongAdder();
  final LongAdder local = new LongAdder();
  final LongAdder avoided = new LongAdder();
  final LongAdder duplicates = new LongAdder();
  final LongAdder removed = new LongAdder();
  private final ConcurrentHistogram latency = new ConcurrentHistogram(LONGEST_NANOS, 2);

  void served(long nanos) {
    latency.recordValue(Math.clamp(nanos, 0, LONGEST_NANOS));
  }

  FaultStatistics snapshot(int waiting) {
    Histogram now = latency.copy();
    boolean none = now.getTotalCount() == 0;
    return new FaultStatistics(
        faults.sum(),
        local.sum(),
        avoided.sum(),
        duplicates.sum(),
        removed.sum(),
        none ? 0 : now.getValueAtPercentile(50),
        none ? 0 : now.getValueAtPercentile(99),
        none ? 0 : now.getMaxValue(),
        waiting);
  }
}
