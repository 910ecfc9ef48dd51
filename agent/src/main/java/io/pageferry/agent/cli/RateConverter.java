package io.pageferry.agent.cli;

import io.pageferry.guest.units.BitRate;
import io.pageferry.guest.units.UnitFormatException;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Rates as people write them, for example {@code 1Gbit}, in bytes a second. */
public final class RateConverter implements ITypeConverter<Long> {
  @Override
  public Long convert(String text) {
    try {
      return BitRate.parse(text);
    } catch (UnitFormatException e) {
      throw new TypeConversionException(e.getMessage());
    }
  }
}
