package io.pageferry.agent.copies;

import java.time.Duration;

/**
 * How much of guests that left is kept here, and for how long.
 *
 * @param keepFor how long a copy is kept
 * @param quotaBytes what all copies may take together; 0 keeps none
 */
public record CopyLimits(Duration keepFor, long quotaBytes) {
  /** Keeps nothing. */
  public static final CopyLimits NONE = new CopyLimits(Duration.ZERO, 0);

  /** Whether anything is kept. */
  public boolean any() {
    return quotaBytes > 0 && keepFor.isPositive();
  }
}
