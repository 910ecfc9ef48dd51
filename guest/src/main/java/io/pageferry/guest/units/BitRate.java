package io.pageferry.guest.units;

import java.util.Locale;

/**
 * A rate as people write it: {@code 1Gbit}, {@code 100Mbit/s}, {@code 100Mbps}, {@code 20MB/s},
 * {@code 20MiB/s}, {@code 20M}.
 *
 * <p>{@code kbit Mbit Gbit} (also {@code …bps}) and {@code kB MB GB} are powers of 1000; {@code KiB
 * MiB GiB} and a letter alone are powers of 1024 in bytes, as QEMU reads {@code max-bandwidth}; a
 * bare number is bytes a second. {@code /s} may be left out. {@code Mb} is refused: half of those
 * who write it mean bits.
 */
public final class BitRate {
  private static final String EXAMPLES = "1Gbit, 100Mbit/s or 20MB/s";

  private BitRate() {}

  /**
   * Reads a rate.
   *
   * @return bytes a second, 0 or more
   * @throws UnitFormatException when the text is not a rate or exceeds 2^63 − 1 bytes a second
   */
  public static long parse(String text) {
    Quantity quantity = Quantity.parse(text, "rate", EXAMPLES);
    String unit = quantity.unit();
    boolean perSecond = unit.endsWith("/s") || unit.endsWith("/S");
    if (perSecond) {
      unit = unit.substring(0, unit.length() - 2).strip();
    }
    String lower = unit.toLowerCase(Locale.ROOT);
    if (lower.endsWith("bits")) {
      return scaled(quantity, lower.substring(0, lower.length() - 4), 1000, 8, text);
    }
    if (lower.endsWith("bit")) {
      return scaled(quantity, lower.substring(0, lower.length() - 3), 1000, 8, text);
    }
    if (lower.endsWith("bps") && !perSecond) {
      if (unit.charAt(unit.length() - 3) == 'B') {
        return scaled(quantity, lower.substring(0, lower.length() - 3), 1000, 1, text);
      }
      return scaled(quantity, lower.substring(0, lower.length() - 3), 1000, 8, text);
    }
    if (lower.endsWith("ib") && lower.length() == 3) {
      return scaled(quantity, lower.substring(0, 1), 1024, 1, text);
    }
    if (unit.endsWith("B")) {
      return scaled(quantity, lower.substring(0, lower.length() - 1), 1000, 1, text);
    }
    if (unit.endsWith("b")) {
      String prefix = unit.substring(0, unit.length() - 1);
      String number = quantity.number().toPlainString();
      throw new UnitFormatException(
          "'%s' may mean bits or bytes; write %s%sB/s or %s%sbit/s"
              .formatted(text.strip(), number, prefix, number, prefix));
    }
    return scaled(quantity, lower, 1024, 1, text);
  }

  private static long scaled(
      Quantity quantity, String prefix, long base, long divisor, String text) {
    int exponent = Quantity.exponent(prefix);
    if (exponent < 0) {
      throw Quantity.unreadable(text, "rate", EXAMPLES);
    }
    return quantity.times(Quantity.power(base, exponent), divisor, text, "rate");
  }

  /**
   * The rate for a reader, in bytes: {@code 20 MB/s}, {@code 1.25 GB/s}; at most two decimals.
   *
   * @param bytesPerSecond 0 or more
   */
  public static String format(long bytesPerSecond) {
    return decimal((double) bytesPerSecond, "B/s");
  }

  /**
   * The same in bits, as links are sold: {@code 1 Gbit/s}.
   *
   * @param bytesPerSecond 0 or more
   */
  public static String formatBits(long bytesPerSecond) {
    return decimal((double) bytesPerSecond * 8.0, "bit/s");
  }

  private static String decimal(double value, String unit) {
    String[] prefixes = {"", "k", "M", "G", "T"};
    int i = 0;
    while (value >= 999.995 && i < prefixes.length - 1) {
      value /= 1000;
      i++;
    }
    return Quantity.number(value, 2) + " " + prefixes[i] + unit;
  }
}
