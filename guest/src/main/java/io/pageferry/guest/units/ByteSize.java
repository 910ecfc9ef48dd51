package io.pageferry.guest.units;

import java.util.Locale;

/**
 * An amount of memory as people write it: {@code 4096}, {@code 4K}, {@code 512M}, {@code 2GiB},
 * {@code 1.5G}, {@code 2GB}.
 *
 * <p>{@code K M G T} and {@code KiB MiB GiB TiB} (also {@code Ki Mi Gi Ti}) are powers of 1024, as
 * QEMU's {@code -m} reads them; {@code kB MB GB TB} are powers of 1000; upper or lower case; a bare
 * number and {@code B} are bytes. A fraction of a byte is dropped.
 */
public final class ByteSize {
  private static final String EXAMPLES = "512M, 2GiB or 4096";

  private ByteSize() {}

  /**
   * Reads a size.
   *
   * @return bytes, 0 or more
   * @throws UnitFormatException when the text is not a size or exceeds 2^63 − 1 bytes
   */
  public static long parse(String text) {
    Quantity quantity = Quantity.parse(text, "size", EXAMPLES);
    String unit = quantity.unit().toLowerCase(Locale.ROOT);
    long base = 1024;
    if (unit.endsWith("ib")) {
      unit = unit.substring(0, unit.length() - 2);
    } else if (unit.endsWith("i")) {
      unit = unit.substring(0, unit.length() - 1);
    } else if (unit.endsWith("b")) {
      unit = unit.substring(0, unit.length() - 1);
      base = 1000;
    } else {
      return scaled(quantity, unit, base, text);
    }
    if (unit.isEmpty() && base == 1024) { // "iB" alone
      throw Quantity.unreadable(text, "size", EXAMPLES);
    }
    return scaled(quantity, unit, base, text);
  }

  private static long scaled(Quantity quantity, String prefix, long base, String text) {
    int exponent = Quantity.exponent(prefix);
    if (exponent < 0) {
      throw Quantity.unreadable(text, "size", EXAMPLES);
    }
    return quantity.times(Quantity.power(base, exponent), 1, text, "size");
  }

  /**
   * The size for a reader: {@code 512 MiB}, {@code 1.5 GiB}, {@code 300 bytes}; at most two
   * decimals, so large odd sizes are rounded.
   *
   * @param bytes 0 or more
   */
  public static String format(long bytes) {
    if (bytes < 1024) {
      return bytes == 1 ? "1 byte" : bytes + " bytes";
    }
    String[] names = {"KiB", "MiB", "GiB", "TiB"};
    int i = 0;
    double value = bytes / 1024.0;
    // 1023.995 would be printed as "1024": go one unit further already there.
    while (value >= 1023.995 && i < names.length - 1) {
      value /= 1024;
      i++;
    }
    return Quantity.number(value, 2) + " " + names[i];
  }
}
