package io.pageferry.guest.units;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class UnitsTest {
  @ParameterizedTest
  @CsvSource({
    "4096, 4096",
    "0, 0",
    "1B, 1",
    "4K, 4096",
    "4k, 4096",
    "4KiB, 4096",
    "4Ki, 4096",
    "4kB, 4000",
    "512M, 536870912",
    "512MiB, 536870912",
    "512MB, 512000000",
    "2GiB, 2147483648",
    "2 GiB, 2147483648",
    "' 2G ', 2147483648",
    "1.5G, 1610612736",
    "1T, 1099511627776",
    "0.5K, 512",
    "8388607T, 9223370937343148032",
  })
  void sizesAreReadAsPeopleWriteThem(String text, long bytes) {
    assertThat(ByteSize.parse(text)).isEqualTo(bytes);
  }

  @ParameterizedTest
  @CsvSource({
    "1000, 1000",
    "1Gbit, 125000000",
    "1Gbit/s, 125000000",
    "1gbit/s, 125000000",
    "100Mbps, 12500000",
    "100mbps, 12500000",
    "100Mbits/s, 12500000",
    "8bit/s, 1",
    "20MB/s, 20000000",
    "20MB, 20000000",
    "20MBps, 20000000",
    "20MiB/s, 20971520",
    "20M, 20971520",
    "20M/s, 20971520",
    "1.5GB/s, 1500000000",
    "5B/s, 5",
    "0, 0",
  })
  void ratesAreReadAsPeopleWriteThem(String text, long bytesPerSecond) {
    assertThat(BitRate.parse(text)).isEqualTo(bytesPerSecond);
  }

  @ParameterizedTest
  @CsvSource({
    "300ms, 300000000",
    "5s, 5000000000",
    "1.5s, 1500000000",
    "250us, 250000",
    "250µs, 250000",
    "10ns, 10",
    "2min, 120000000000",
    "2m, 120000000000",
    "1h, 3600000000000",
    "90d, 7776000000000000",
    "5 s, 5000000000",
  })
  void durationsAreReadAsPeopleWriteThem(String text, long nanos) {
    assertThat(TimeSpan.parse(text)).isEqualTo(Duration.ofNanos(nanos));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "", " ", "M", "-1", "1..5G", ".", "5X", "5iB", "5 M B", "0x10", "1e3", "5Gbit", "٣"
      })
  void whatIsNoSizeIsRefusedWithAnExample(String text) {
    assertThatThrownBy(() -> ByteSize.parse(text))
        .isInstanceOf(UnitFormatException.class)
        .hasMessage("'" + text + "' is not a size; write it like 512M, 2GiB or 4096");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "fast", "-1M", "5X/s", "1Gbit/min", "MB/s", "5iB/s", "1/s/s"})
  void whatIsNoRateIsRefusedWithAnExample(String text) {
    assertThatThrownBy(() -> BitRate.parse(text))
        .isInstanceOf(UnitFormatException.class)
        .hasMessage("'" + text + "' is not a rate; write it like 1Gbit, 100Mbit/s or 20MB/s");
  }

  @Test
  void aSmallBitOrByteIsNotGuessed() {
    assertThatThrownBy(() -> BitRate.parse("20Mb/s"))
        .hasMessage("'20Mb/s' may mean bits or bytes; write 20MB/s or 20Mbit/s");
  }

  @Test
  void aDurationNeedsItsUnit() {
    assertThatThrownBy(() -> TimeSpan.parse("300"))
        .hasMessage("'300' has no unit; write it like 300ms, 5s or 2min");
    assertThatThrownBy(() -> TimeSpan.parse("5 parsecs"))
        .hasMessage("'5 parsecs' is not a duration; write it like 300ms, 5s or 2min");
  }

  @Test
  void whatDoesNotFitIsSaidToBeTooLarge() {
    assertThatThrownBy(() -> ByteSize.parse("8388608T"))
        .hasMessage("'8388608T' is too large for a size");
    assertThatThrownBy(() -> TimeSpan.parse("200000d"))
        .hasMessage("'200000d' is too large for a duration");
  }

  @Test
  void endlessTextIsNotTakenApart() {
    assertThatThrownBy(() -> ByteSize.parse("9".repeat(1 << 20)))
        .isInstanceOf(UnitFormatException.class)
        .message()
        .hasSizeLessThan(120);
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0 bytes",
    "1, 1 byte",
    "1023, 1023 bytes",
    "1024, 1 KiB",
    "536870912, 512 MiB",
    "1610612736, 1.5 GiB",
    "1073741823, 1 GiB",
    "1099511627776, 1 TiB",
  })
  void sizesAreWrittenForReaders(long bytes, String text) {
    assertThat(ByteSize.format(bytes)).isEqualTo(text);
  }

  @ParameterizedTest
  @CsvSource({"0, 0 B/s", "20000000, 20 MB/s", "1250000000, 1.25 GB/s", "999, 999 B/s"})
  void ratesAreWrittenForReaders(long rate, String text) {
    assertThat(BitRate.format(rate)).isEqualTo(text);
  }

  @Test
  void linksAreWrittenInBits() {
    assertThat(BitRate.formatBits(125_000_000)).isEqualTo("1 Gbit/s");
    assertThat(BitRate.formatBits(12_500_000)).isEqualTo("100 Mbit/s");
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0 ns",
    "4830000, 4.83 ms",
    "300000000, 300 ms",
    "5000000000, 5 s",
    "90000000000, 90 s",
    "120000000000, 2 min",
    "7200000000000, 2 h",
    "12300, 12.3 µs",
  })
  void durationsAreWrittenForReaders(long nanos, String text) {
    assertThat(TimeSpan.format(Duration.ofNanos(nanos))).isEqualTo(text);
  }

  @ParameterizedTest
  @ValueSource(longs = {1024, 1 << 20, 512L << 20, 3L << 30, 1536L << 20, 5L << 40})
  void aFormattedSizeReadsBackAsItself(long bytes) {
    assertThat(ByteSize.parse(ByteSize.format(bytes))).isEqualTo(bytes);
  }
}
