package io.pageferry.agent.cli;

/**
 * One look at a phase in progress.
 *
 * @param round 0 where the phase has no rounds
 * @param doneBytes of the phase, of {@code totalBytes}
 * @param bytesPerSecond memory moved, as of late
 * @param dirtyBytesPerSecond memory the guest writes, as of late; -1 if unknown
 * @param remainingBytes until the phase ends
 * @param faultsPerSecond page faults of the guest that the network answers, as of late; -1 where
 *     there are none to be answered
 * @param secondsLeft until the migration ends, as estimated; negative if unknown
 */
public record ProgressSample(
    int round,
    long doneBytes,
    long totalBytes,
    long bytesPerSecond,
    long dirtyBytesPerSecond,
    long remainingBytes,
    long faultsPerSecond,
    double secondsLeft) {}
