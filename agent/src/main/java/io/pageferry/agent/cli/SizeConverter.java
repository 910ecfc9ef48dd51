package io.pageferry.agent.cli;

import io.pageferry.guest.units.ByteSize;
import io.pageferry.guest.units.UnitFormatException;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Sizes as people write them, for example {@code 512M}, in bytes. */
public final class SizeConverter implements ITypeConverter<Long> {
  @Override
  public Long convert(String text) {
    try {
      return ByteSize.parse(text);
    } catch (UnitFormatException e) {
      throw new TypeConversionException(e.getMessage());
    }
  }
}
