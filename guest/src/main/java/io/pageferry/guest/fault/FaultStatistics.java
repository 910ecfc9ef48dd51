package io.pageferry.guest.fault;

/**
 * What a {@link FaultService} has done since it started.
 *
 * @param faults faults whose page was asked for; a huge page counts once
 * @param localFaults faults answered without the source: pages of zeros, and pages that were there
 * @param avoided pages that landed before anybody asked for them
 * @param duplicates pages that came and were there already, or had been removed meanwhile
 * @param removedPages missing pages that the guest gave back, so that they need not come
 * @param p50Nanos of the time from reading a fault to the end of its page's landing, outages of the
 *     network included; 0 without any, as the next two
 * @param waiting pages asked for that are still to come
 */
public record FaultStatistics(
    long faults,
    long localFaults,
    long avoided,
    long duplicates,
    long removedPages,
    long p50Nanos,
    long p99Nanos,
    long maxNanos,
    int waiting) {}
