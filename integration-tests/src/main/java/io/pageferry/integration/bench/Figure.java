package io.pageferry.integration.bench;

import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.Locale;

/**
 * One figure of a benchmark.
 *
 * @param name what was measured
 * @param value the median
 * @param unit of value and yardstick
 * @param yardstick what it is compared with: measured in the same run, or the limit that was
 *     promised
 * @param yardstickValue the yardstick's median
 * @param ratio value divided by yardstickValue
 * @param runs how many runs the medians are of
 */
@JsonPropertyOrder({"name", "value", "unit", "yardstick", "yardstickValue", "ratio", "runs"})
record Figure(
    String name,
    double value,
    String unit,
    String yardstick,
    double yardstickValue,
    double ratio,
    int runs) {

  static Figure of(
      String name, Series values, String unit, String yardstick, Series yardstickValues) {
    return of(name, values, unit, yardstick, yardstickValues.median());
  }

  static Figure of(
      String name, Series values, String unit, String yardstick, double yardstickValue) {
    double value = values.median();
    return new Figure(
        name,
        rounded(value),
        unit,
        yardstick,
        rounded(yardstickValue),
        rounded(value / yardstickValue),
        values.size());
  }

  private static double rounded(double value) {
    return Math.round(value * 1000) / 1000.0;
  }

  /** One line for people. */
  String line() {
    return String.format(
        Locale.ROOT,
        "%-46s %9.3f %-5s  %s: %.3f %s, ratio %.2f (median of %d)",
        name,
        value,
        unit,
        yardstick,
        yardstickValue,
        unit,
        ratio,
        runs);
  }
}
