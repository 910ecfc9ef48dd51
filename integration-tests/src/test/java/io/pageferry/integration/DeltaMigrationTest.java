package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Guests that write a little here and there, on a slow link: what they write again goes as the
 * difference. Their content is random, so that nothing else makes a page shorter.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(value = 180, unit = TimeUnit.SECONDS)
final class DeltaMigrationTest {
  private static final int PAGE = 4096;

  private static Journey begin(Hosts hosts, String engine, String... options) throws Exception {
    DemoGuestSpec spec =
        DemoGuestSpec.uniform(hosts.guestName(), "24M", "8MB/s")
            .withPattern("random")
            .with("--write-bytes", "200", "--working-set", "2M");
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    return Journey.begin(hosts, guest, hosts.secured(engine), null, options);
  }

  @ParameterizedTest(name = "{0} channels, {1}, a cache of {2}")
  @CsvSource({
    "1, plaintext, 4M",
    "4, boringssl, 1M",
  })
  void whatIsSentAgainIsSentAsADifference(String channels, String engine, String cache, Hosts hosts)
      throws Exception {
    JsonNode report =
        begin(
                hosts,
                engine,
                "--channels",
                channels,
                "--bandwidth",
                "16MB/s",
                "--delta-cache",
                cache,
                "--verify",
                "full")
            .assertArrived();
    JsonNode counts = report.path("deltaCache");
    long deltas = report.path("pages").path("delta").asLong();
    assertThat(deltas).describedAs("%s", report).isPositive();
    assertThat(counts.path("hits").asLong()).isGreaterThanOrEqualTo(deltas);
    assertThat(counts.path("misses").asLong()).isPositive();
    boolean small = cache.equals("1M");
    assertThat(counts.path("bytes").asLong()).isEqualTo(small ? 1 << 20 : 4 << 20);
    assertThat(counts.path("overflows").asLong() > 0).describedAs("%s", report).isEqualTo(small);
    assertThat(report.path("stopReason").asText()).isNotEmpty();
    if (!small) {
      // The last round, in which the guest stands still, is made of little else.
      JsonNode last = report.path("rounds").get(report.path("rounds").size() - 1);
      assertThat(last.path("wireBytes").asLong())
          .describedAs("%s", report)
          .isLessThan(last.path("pages").asLong() * PAGE / 2 + PAGE);
    }
  }

  @Test
  void pagesAreSentWholeIfToldSo(Hosts hosts) throws Exception {
    JsonNode report =
        begin(hosts, "plaintext", "--bandwidth", "40MB/s", "--delta", "off").assertArrived();
    assertThat(report.path("pages").path("delta").asLong()).isZero();
    assertThat(report.path("pages").path("resent").asLong()).isPositive();
    assertThat(report.path("deltaCache").path("bytes").asLong()).isZero();
    assertThat(report.path("deltaCache").path("misses").asLong()).isZero();
  }
}
