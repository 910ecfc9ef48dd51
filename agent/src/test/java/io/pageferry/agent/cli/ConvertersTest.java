package io.pageferry.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class ConvertersTest {
  private final AddressConverter addresses = new AddressConverter();

  @Test
  void sizesRatesAndDurationsReadAsPeopleWriteThem() {
    assertThat(new SizeConverter().convert("512M")).isEqualTo(512L << 20);
    assertThat(new RateConverter().convert("1Gbit")).isEqualTo(125_000_000L);
    assertThat(new TimeSpanConverter().convert("300ms")).isEqualTo(Duration.ofMillis(300));
    assertThatThrownBy(() -> new SizeConverter().convert("much"))
        .isInstanceOf(TypeConversionException.class)
        .hasMessageContaining("much");
  }

  /** A ledger keeps where the target is as text, and a recovery reads it. */
  @Test
  void anAddressIsReadAsItWasWritten() {
    for (String text : List.of("127.0.0.1:7420", "[::1]:7420", "[fe80::1%1]:1", "beta.invalid:0")) {
      InetSocketAddress address = addresses.convert(text);
      InetSocketAddress again = addresses.convert(AddressConverter.text(address));
      assertThat(again).describedAs(text).isEqualTo(address);
      // With the zone, which two addresses may differ in and be equal.
      assertThat(AddressConverter.text(again)).isEqualTo(AddressConverter.text(address));
    }
    assertThat(AddressConverter.text(addresses.convert("beta.invalid:7")))
        .isEqualTo("beta.invalid:7");
    assertThat(AddressConverter.numeric(addresses.convert("[::1]:7")))
        .isEqualTo("[0:0:0:0:0:0:0:1]:7");
  }

  @Test
  void anAddressIsHostAndPort() {
    InetSocketAddress four = addresses.convert("127.0.0.1:7420");
    assertThat(four.getAddress().getHostAddress()).isEqualTo("127.0.0.1");
    assertThat(four.getPort()).isEqualTo(7420);
    InetSocketAddress six = addresses.convert("[::1]:0");
    assertThat(six.getAddress().isLoopbackAddress()).isTrue();
    assertThat(six.getPort()).isZero();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "host", ":1", "host:", "host:x", "host:65536", "host:-1", "::1:80"})
  void anythingElseIsNot(String text) {
    assertThatThrownBy(() -> addresses.convert(text)).isInstanceOf(TypeConversionException.class);
  }

  @Test
  void theStateDirectoryIsTheOneNamedElseTheOneOfTheUser() {
    assertThat(StateOptions.fallback(Map.of("PAGEFERRY_STATE", "/s"), "root"))
        .isEqualTo(Path.of("/s"));
    assertThat(StateOptions.fallback(Map.of(), "root")).isEqualTo(Path.of("/var/lib/pageferry"));
    assertThat(StateOptions.fallback(Map.of("XDG_STATE_HOME", "/x", "HOME", "/h"), "me"))
        .isEqualTo(Path.of("/x/pageferry"));
    assertThat(StateOptions.fallback(Map.of("XDG_STATE_HOME", "rel", "HOME", "/h"), "me"))
        .isEqualTo(Path.of("/h/.local/state/pageferry"));
  }
}
