package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.SourceHost;
import io.pageferry.integration.process.Surroundings;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.integration.process.Transcript;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Guests that never stop writing, moved between real agents. Each pattern meets both trackers and
 * both numbers of channels, and each engine meets both of both.
 */
@ExtendWith(Hosts.Shared.class)
final class MigrationTest {
  @ParameterizedTest(name = "{0}, {1}, {2}, {3} channels")
  @CsvSource({
    "uniform,     userfaultfd, boringssl,    4",
    "uniform,     digest,      plaintext,    1",
    "hot-spot,    userfaultfd, bouncycastle, 1",
    "hot-spot,    digest,      boringssl,    4",
    "sequential,  userfaultfd, jdk,          1",
    "sequential,  digest,      bouncycastle, 4",
    "mostly-zero, userfaultfd, plaintext,    1",
    "mostly-zero, digest,      jdk,          4",
    "text,        userfaultfd, boringssl,    1",
    "text,        digest,      plaintext,    4",
    "random,      userfaultfd, plaintext,    4",
    "random,      digest,      boringssl,    1",
  })
  void arrivesWhole(String pattern, String tracking, String engine, String channels, Hosts hosts)
      throws Exception {
    DemoGuest guest =
        hosts.source().startGuest(Journey.small(hosts, engine).withPattern(pattern)).awaitReady();
    Journey journey =
        Journey.begin(
            hosts,
            guest,
            hosts.secured(engine),
            null,
            "--tracking",
            tracking,
            "--channels",
            channels,
            "--verify",
            "full");
    JsonNode report = journey.assertArrived();
    assertThat(report.path("tracking").asText())
        .isEqualTo(tracking.equals("digest") ? "digest" : "userfaultfd-wp");
    if (engine.equals("plaintext")) {
      assertThat(report.path("tls").isNull()).isTrue();
    } else {
      assertThat(report.path("tls").path("protocol").asText()).isEqualTo("TLSv1.3");
      assertThat(report.path("tls").path("group").asText())
          .isEqualTo(engine.equals("jdk") ? "x25519" : "X25519MLKEM768");
    }
  }

  @Test
  void whereBoringSslDoesNotLoadBouncyCastleTakesItsPlace(Hosts hosts) throws Exception {
    SourceHost source =
        hosts
            .source()
            .in(
                Surroundings.USUAL.with(
                    "JAVA_TOOL_OPTIONS", "-Dio.netty.handler.ssl.noOpenSsl=true"));
    DemoGuest guest = source.startGuest(Journey.small(hosts)).awaitReady();
    Journey forced =
        Journey.begin(source, hosts.target(), guest, hosts.tls().withEngine("boringssl"), null);
    assertThat(forced.awaitExit()).describedAs(forced.story()).isEqualTo(3);
    forced.assertSaid("BoringSSL does not load", "--tls-engine", "nothing was changed");
    JsonNode report =
        Journey.begin(source, hosts.target(), guest, hosts.tls(), null).assertArrived();
    assertThat(report.path("tls").path("group").asText()).isEqualTo("X25519MLKEM768");
  }

  @Test
  void tracksByTheKernelUnlessToldOtherwise(Hosts hosts) throws Exception {
    DemoGuest guest = hosts.source().startGuest(Journey.small(hosts)).awaitReady();
    assertThat(Journey.begin(hosts, guest).assertArrived().path("tracking").asText())
        .isEqualTo("userfaultfd-wp");
  }

  @Test
  void nothingIsCompressedIfToldSo(Hosts hosts) throws Exception {
    DemoGuestSpec spec = Journey.small(hosts).withPattern("text");
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    JsonNode pages = Journey.begin(hosts, guest, "--compress", "off").assertArrived().path("pages");
    assertThat(pages.path("lz4").asLong()).isZero();
    assertThat(pages.path("zstd").asLong()).isZero();
    assertThat(pages.path("raw").asLong()).isPositive();
  }

  /** Blocks of zstd and deltas in between, of pages that are written meanwhile. */
  @Test
  void everythingThatShrinksGoesByZstdIfToldSo(Hosts hosts) throws Exception {
    DemoGuestSpec spec = Journey.small(hosts);
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    JsonNode pages =
        Journey.begin(
                hosts,
                guest,
                "--compress",
                "zstd",
                "--bandwidth",
                "40MB/s",
                "--channels",
                "2",
                "--verify",
                "full")
            .assertArrived()
            .path("pages");
    assertThat(pages.path("zstd").asLong()).isGreaterThan(pages.path("total").asLong() / 4);
    assertThat(pages.path("lz4").asLong()).isZero();
  }

  @Test
  void severalRegionsArrive(Hosts hosts) throws Exception {
    DemoGuestSpec spec = Journey.small(hosts).withRegions(3);
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    Journey.begin(hosts, guest, "--verify", "full", "--channels", "2").assertArrived();
  }

  /** Without being told otherwise, their dirty pages are found by comparing digests. */
  @Test
  void hugePagesArrive(Hosts hosts) throws Exception {
    try (HugePages reserved = new HugePages(36)) {
      assertThat(reserved).isNotNull();
      SourceHost source = SourceHost.create(hosts.workplace(), "huge-source");
      TargetHost target =
          TargetHost.start(hosts.workplace(), "huge-target", hosts.tls(), List.of()).awaitReady();
      Mount.hugePages(source.imageFolder());
      Mount.hugePages(target.imageFolder());
      try {
        DemoGuest guest =
            source
                .startGuest(DemoGuestSpec.uniform(hosts.guestName(), "32M", "20MB/s"))
                .awaitReady();
        Journey refused =
            Journey.begin(source, target, guest, hosts.tls(), null, "--tracking", "userfaultfd");
        assertThat(refused.awaitExit()).describedAs(refused.story()).isEqualTo(3);
        refused.assertSaid("the kernel cannot track guest", "comparing digests");
        refused.assertUnharmed();
        refused.settledOnTarget();
        JsonNode report =
            Journey.begin(source, target, guest, hosts.tls(), null, "--verify", "full")
                .assertArrived();
        assertThat(report.path("tracking").asText()).isEqualTo("digest");
        assertThat(report.path("rounds").size()).isGreaterThan(1);
        target.agent().close();
      } finally {
        Mount.remove(source.imageFolder());
        Mount.remove(target.imageFolder());
      }
    }
  }

  @Test
  void twoGuestsMoveAtOnceThroughTheSameAgents(Hosts hosts) throws Exception {
    DemoGuest first = hosts.source().startGuest(Journey.small(hosts));
    DemoGuest second = hosts.source().startGuest(Journey.small(hosts).withPattern("text"));
    first.awaitReady();
    second.awaitReady();
    Journey one = Journey.begin(hosts, first, "--bandwidth", "40MB/s", "--verify", "full");
    Journey other = Journey.begin(hosts, second, "--bandwidth", "40MB/s", "--verify", "full");
    one.assertArrived();
    other.assertArrived();
  }

  @Test
  void oneGuestMovesOnAndTheNextMayUseItsNameAgain(Hosts hosts) throws Exception {
    DemoGuestSpec spec = Journey.small(hosts);
    Journey.begin(hosts, hosts.source().startGuest(spec).awaitReady()).assertArrived();
    Journey.begin(hosts, hosts.source().startGuest(spec).awaitReady()).assertArrived();
  }

  @Test
  void sayingTheTimesAndPagesAddsUp(Hosts hosts) throws Exception {
    DemoGuest guest = hosts.source().startGuest(Journey.small(hosts)).awaitReady();
    Journey journey = Journey.begin(hosts, guest);
    JsonNode report = journey.assertArrived();
    JsonNode pages = report.path("pages");
    assertThat(pages.path("sent").asLong())
        .isEqualTo(
            pages.path("zero").asLong()
                + pages.path("raw").asLong()
                + pages.path("lz4").asLong()
                + pages.path("zstd").asLong()
                + pages.path("delta").asLong()
                + pages.path("known").asLong()
                + pages.path("partlyKnown").asLong()
                + pages.path("deduplicated").asLong());
    assertThat(pages.path("sent").asLong() - pages.path("resent").asLong())
        .isEqualTo(pages.path("total").asLong());
    long inRounds = 0;
    for (JsonNode round : report.path("rounds")) {
      inRounds += round.path("pages").asLong();
    }
    assertThat(inRounds).isEqualTo(pages.path("sent").asLong());
    JsonNode times = report.path("times");
    assertThat(times.path("totalMs").asDouble())
        .isGreaterThanOrEqualTo(
            times.path("preparationMs").asDouble() + times.path("downtimeMs").asDouble());
    assertThat(times.path("downtimeMs").asDouble()).isPositive();

    // And the logs tell it in about ten lines; the source's have one a round besides.
    String line = "\\d\\d:\\d\\d:\\d\\d +%s .*";
    assertThat(journey.departure().agent().transcript().lines(Transcript.Stream.ERR))
        .filteredOn(said -> said.matches(line.formatted("source")) && !said.contains("Round "))
        .hasSizeBetween(3, 10);
    assertThat(hosts.target().agent().transcript().lines(Transcript.Stream.ERR))
        .filteredOn(said -> said.matches(line.formatted("target")))
        .filteredOn(said -> said.contains("'" + guest.spec().name() + "'"))
        .hasSizeBetween(4, 12);
  }
}
