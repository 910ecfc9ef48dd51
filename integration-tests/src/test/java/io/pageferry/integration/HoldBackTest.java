package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A guest that writes the same part of its memory all over in each round, which takes the link
 * several times as long to carry: what of it waits is sent once less.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(value = 180, unit = TimeUnit.SECONDS)
final class HoldBackTest {
  private static final int PAGE = 4096;

  /** With the same number of rounds for both, and pages that all cost the same. */
  private static JsonNode move(Hosts hosts, String holdBack) throws Exception {
    DemoGuestSpec spec =
        DemoGuestSpec.uniform(hosts.guestName(), "24M", "150MB/s")
            .withPattern("sequential")
            .with("--working-set", "16M");
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    return Journey.begin(
            hosts,
            guest,
            "--hold-back",
            holdBack,
            "--bandwidth",
            "12MB/s",
            "--downtime-limit",
            "1s",
            "--max-rounds",
            "4",
            "--on-stall",
            "pause",
            "--compress",
            "off",
            "--delta",
            "off",
            "--dedup",
            "off",
            "--verify",
            "full")
        .assertArrived();
  }

  private static long pages(JsonNode report, String what) {
    return report.path("pages").path(what).asLong();
  }

  private static long wire(JsonNode report) {
    return report.path("bytes").path("wire").asLong();
  }

  @Test
  void whatTheGuestKeepsWritingIsSentFewerTimes(Hosts hosts) throws Exception {
    JsonNode held = move(hosts, "auto");
    JsonNode plain = move(hosts, "off");
    String both = held + "\n" + plain;
    long waited = pages(held, "heldBack");
    assertThat(waited).describedAs(both).isPositive();
    assertThat(pages(plain, "heldBack")).describedAs(both).isZero();
    assertThat(held.path("rounds").get(3).path("heldBackPages").asLong())
        .describedAs(both)
        .isEqualTo(waited);
    assertThat(pages(held, "sent")).describedAs(both).isLessThan(pages(plain, "sent") - waited / 2);
    assertThat(wire(held)).describedAs(both).isLessThan(wire(plain) - waited / 2 * PAGE);
  }
}
