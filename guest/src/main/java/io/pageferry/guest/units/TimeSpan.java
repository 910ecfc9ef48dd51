package io.pageferry.guest.units;

import java.time.Duration;
import java.util.Locale;

/**
 * A duration as people write it: {@code 300ms}, {@code 5s}, {@code 1.5s}, {@code 250us}, {@code
 * 2min}, {@code 1h}, {@code 90d}. A unit is required: half of those who leave it out mean seconds.
 */
public final class TimeSpan {
  private static final String EXAMPLES = "300ms, 5s or 2min";

  private TimeSpan() {}

  /**
   * Reads a duration.
   *
   * @return zero or more, whole nanoseconds, at most about 292 years
   * @throws UnitFormatException when the text is not a duration
   */
  public static Duration parse(String text) {
    Quantity quantity = Quantity.parse(text, "duration", EXAMPLES);
    long nanos =
        switch (quantity.unit().toLowerCase(Locale.ROOT)) {
          case "ns" -> 1;
          case "us", "µs", "μs" -> 1_000;
          case "ms" -> 1_000_000;
          case "s", "sec" -> 1_000_000_000;
          case "m", "min" -> 60_000_000_000L;
          case "h" -> 3_600_000_000_000L;
          case "d" -> 86_400_000_000_000L;
          case "" ->
              throw new UnitFormatException(
                  "'" + text.strip() + "' has no unit; write it like " + EXAMPLES);
          default -> throw Quantity.unreadable(text, "duration", EXAMPLES);
        };
    return Duration.ofNanos(quantity.times(nanos, 1, text, "duration"));
  }

  /** The duration for a reader in one unit: {@code 4.83 ms}, {@code 5 s}, {@code 2 min}. */
  public static String format(Duration duration) {
    double nanos = (double) duration.getSeconds() * 1e9 + duration.getNano();
    if (nanos < 999.5) {
      return Quantity.number(nanos, 0) + " ns";
    }
    if (nanos < 999_995) {
      return Quantity.number(nanos / 1e3, 2) + " µs";
    }
    if (nanos < 999_995_000) {
      return Quantity.number(nanos / 1e6, 2) + " ms";
    }
    if (nanos < 119_995_000_000.0) {
      return Quantity.number(nanos / 1e9, 2) + " s";
    }
    if (nanos < 7_199_700_000_000.0) {
      return Quantity.number(nanos / 60e9, 2) + " min";
    }
    return Quantity.number(nanos / 3600e9, 2) + " h";
  }
}
