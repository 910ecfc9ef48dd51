package io.pageferry.integration.bench;

import io.pageferry.integration.process.ProcessTable;

/**
 * Samples a process's resident memory without shared memory and keeps the largest value. Closing
 * ends the sampling.
 */
final class ResidentMemory implements AutoCloseable {
  private static final long PERIOD_MILLIS = 20;

  private final Thread sampler;
  private volatile long peak;

  ResidentMemory(long pid) {
    sampler =
        Thread.ofPlatform()
            .daemon()
            .name("resident-" + pid)
            .start(
                () -> {
                  while (!Thread.currentThread().isInterrupted()) {
                    peak = Math.max(peak, ProcessTable.residentBytesWithoutImage(pid));
                    try {
                      Thread.sleep(PERIOD_MILLIS);
                    } catch (InterruptedException ended) {
                      return;
                    }
                  }
                });
  }

  /** The largest value so far, bytes. */
  long peakBytes() {
    return peak;
  }

  @Override
  public void close() {
    sampler.interrupt();
  }
}
