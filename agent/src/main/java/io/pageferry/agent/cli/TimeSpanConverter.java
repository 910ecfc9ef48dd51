package io.pageferry.agent.cli;

import io.pageferry.guest.units.TimeSpan;
import io.pageferry.guest.units.UnitFormatException;
import java.time.Duration;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Durations as people write them, for example {@code 300ms}. */
public final class TimeSpanConverter implements ITypeConverter<Duration> {
  @Override
  public Duration convert(String text) {
    try {
      return TimeSpan.parse(text);
    } catch (UnitFormatException e) {
      throw new TypeConversionException(e.getMessage());
    }
  }
}
