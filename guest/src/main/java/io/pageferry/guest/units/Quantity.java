package io.pageferry.guest.units;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.Locale;

/** A decimal number followed by a unit, taken apart; {@code unit} is empty for a bare number. */
record Quantity(BigDecimal number, String unit) {
  /** Longer text is no quantity, and BigDecimal would spend quadratic time on a long one. */
  private static final int MAX_LENGTH = 40;

  /**
   * @param what for the message: "size", "rate", "duration"
   * @param examples for the message: how it is written
   */
  static Quantity parse(String text, String what, String examples) {
    String trimmed = text.strip();
    int end = 0;
    boolean digit = false;
    while (end < trimmed.length()) {
      char c = trimmed.charAt(end);
      if (c >= '0' && c <= '9') {
        digit = true;
      } else if (c != '.') {
        break;
      }
      end++;
    }
    if (!digit || trimmed.length() > MAX_LENGTH) {
      throw unreadable(text, what, examples);
    }
    try {
      return new Quantity(
          new BigDecimal(trimmed.substring(0, end)), trimmed.substring(end).strip());
    } catch (NumberFormatException e) {
      throw unreadable(text, what, examples);
    }
  }

  static UnitFormatException unreadable(String text, String what, String examples) {
    String quoted = text.length() > MAX_LENGTH ? text.substring(0, MAX_LENGTH) + "…" : text;
    return new UnitFormatException(
        "'" + quoted + "' is not a " + what + "; write it like " + examples);
  }

  /** This many units of {@code numerator / denominator}, as a whole number, rounded down. */
  long times(long numerator, long denominator, String text, String what) {
    BigDecimal value =
        number
            .multiply(BigDecimal.valueOf(numerator))
            .divide(BigDecimal.valueOf(denominator), 0, RoundingMode.DOWN);
    try {
      return value.longValueExact();
    } catch (ArithmeticException e) {
      throw new UnitFormatException("'" + text.strip() + "' is too large for a " + what);
    }
  }

  /** The power of 1024 or 1000 that a prefix letter stands for, 0 for none, -1 for no prefix. */
  static int exponent(String prefix) {
    return switch (prefix.toLowerCase(Locale.ROOT)) {
      case "" -> 0;
      case "k" -> 1;
      case "m" -> 2;
      case "g" -> 3;
      case "t" -> 4;
      default -> -1;
    };
  }

  static long power(long base, int exponent) {
    long result = 1;
    for (int i = 0; i < exponent; i++) {
      result *= base;
    }
    return result;
  }

  /** {@code value / unit} with at most {@code decimals} decimals, no trailing zeros. */
  static String number(double value, int decimals) {
    String text =
        BigDecimal.valueOf(value)
            .setScale(decimals, RoundingMode.HALF_UP)
            .stripTrailingZeros()
            .toPlainString();
    return text;
  }
}
