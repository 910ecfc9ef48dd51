package io.pageferry.agent.local;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import java.util.UUID;

/**
 * Where one migration is.
 *
 * @param peer the other agent
 * @param phase for people, for example {@code round 3}
 * @param round 0 before the first
 * @param remainingPages of the present round, -1 if unknown
 */
@JsonIgnoreProperties(ignoreUnknown = true)
public record MigrationStatus(
    UUID migration,
    String guest,
    String peer,
    String phase,
    int round,
    long pagesTotal,
    long pagesSent,
    long remainingPages,
    long bytesPerSecond,
    long dirtyBytesPerSecond) {}
