package io.pageferry.guest.control;

import java.util.Optional;

/**
 * What the demo guest says about itself.
 *
 * @param running whether it executes
 * @param ticks rounds of its loop since it first started, on whichever host
 * @param handoverGapMicros from its last tick on the source to the first one here; 0 before that
 * @param longestGapMicros the longest time between two ticks since the last reset, the hand-over
 *     included
 * @param operations page writes since it first started
 * @param operationsPerSecond page writes within the last second
 * @param pagesChecked pages verified since it first started
 * @param faultsFound pages that were not what they had to be
 * @param firstFault the first of them, described
 * @param pagesVerified pages in the image when a whole check was asked for, otherwise 0
 */
public record GuestTicks(
    boolean running,
    long ticks,
    long handoverGapMicros,
    long longestGapMicros,
    long operations,
    long operationsPerSecond,
    long pagesChecked,
    long faultsFound,
    Optional<String> firstFault,
    long pagesVerified) {}
