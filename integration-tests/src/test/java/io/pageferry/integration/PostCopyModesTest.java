package io.pageferry.integration;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.pageferry.integration.process.DemoGuest;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.TargetHost;
import io.pageferry.protocol.frame.FrameHeader;
import io.pageferry.protocol.frame.FrameType;
import io.pageferry.protocol.message.ChannelRole;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Guests that run on the target before their memory is there, or stand still until it is. Each
 * dimension takes each of its values at least once.
 */
@ExtendWith(Hosts.Shared.class)
@Timeout(value = 180, unit = TimeUnit.SECONDS)
final class PostCopyModesTest {
  /** Slow enough for the guest to find pages missing, also on a slow machine. */
  private static final String RATE = "24MB/s";

  /** The same for one that has little to send. */
  private static final String LOW_RATE = "2MB/s";

  /** Its code on the wire. */
  private static final int ZSTD = 6;

  private static Journey begin(
      Hosts hosts,
      String mode,
      String pattern,
      String engine,
      int channels,
      int regions,
      String further,
      String value)
      throws Exception {
    DemoGuestSpec spec = Journey.small(hosts, engine).withPattern(pattern).withRegions(regions);
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    return Journey.begin(
        hosts,
        guest,
        hosts.secured(engine),
        null,
        "--mode",
        mode,
        "--channels",
        Integer.toString(channels),
        "--bandwidth",
        pattern.equals("mostly-zero") || spec.pages() < 8192 ? LOW_RATE : RATE,
        further,
        value);
  }

  private static long pages(JsonNode report, String kind) {
    return report.path("pages").path(kind).asLong();
  }

  private static long faults(JsonNode report) {
    return report.path("faults").path("count").asLong();
  }

  private static void assertEachPageOnce(JsonNode report) {
    assertThat(pages(report, "sent")).describedAs("%s", report).isEqualTo(pages(report, "total"));
    assertThat(pages(report, "resent")).describedAs("%s", report).isZero();
  }

  /** The push packs as it is told; what the guest waits for never waits for zstd as well. */
  @Test
  void noPageThatIsWaitedForGoesByZstd(Hosts hosts) throws Exception {
    TargetHost target = hosts.target(PeerSecurity.plaintext());
    DemoGuestSpec spec =
        DemoGuestSpec.uniform(hosts.guestName(), "24M", "20MB/s").withPattern("text");
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    Map<ChannelRole, Set<Integer>> encodings = new ConcurrentHashMap<>();
    Relay.Censor reader =
        (relay, frame) -> {
          if (frame.type() == FrameType.PAGES) {
            encodings
                .computeIfAbsent(frame.role(), role -> ConcurrentHashMap.newKeySet())
                .addAll(encodings(frame.bytes()));
          }
          return List.of(frame.bytes());
        };
    try (Relay relay = Relay.to(target, reader)) {
      Journey journey =
          Journey.begin(
              hosts.source(),
              relay,
              target,
              guest,
              PeerSecurity.plaintext(),
              "--mode",
              "postcopy",
              "--bandwidth",
              "8MB/s",
              "--compress",
              "zstd");
      JsonNode report = journey.assertArrived();
      assertEachPageOnce(report);
      assertThat(faults(report)).isPositive();
      assertThat(pages(report, "zstd")).isPositive();
      assertThat(encodings.get(ChannelRole.DATA)).contains(ZSTD);
      assertThat(encodings.get(ChannelRole.FAULT)).isNotEmpty().doesNotContain(ZSTD);
    }
  }

  /** Of the runs of one PAGES frame. */
  private static Set<Integer> encodings(byte[] frame) {
    Set<Integer> encodings = new HashSet<>();
    ByteBuf runs = Unpooled.wrappedBuffer(frame).skipBytes(FrameHeader.BYTES + 8);
    while (runs.isReadable()) {
      runs.skipBytes(12);
      encodings.add((int) runs.readByte());
      runs.skipBytes(3);
      runs.skipBytes(runs.readIntLE());
    }
    return encodings;
  }

  @ParameterizedTest(name = "{0}, {1}, {2} channels, {3} regions, {4}")
  @CsvSource({
    "uniform,     boringssl,    1, 1, prepaging",
    "random,      plaintext,    4, 2, active",
    "sequential,  bouncycastle, 4, 1, prepaging",
    "mostly-zero, plaintext,    1, 3, prepaging",
  })
  void theGuestFirst(
      String pattern, String engine, int channels, int regions, String push, Hosts hosts)
      throws Exception {
    JsonNode report =
        begin(hosts, "postcopy", pattern, engine, channels, regions, "--push", push)
            .assertArrived();
    assertThat(report.path("mode").asText()).isEqualTo("postcopy");
    assertThat(report.path("switchedBy").asText()).isEqualTo("plan");
    assertThat(report.path("tracking").isNull()).describedAs("no tracking").isTrue();
    assertEachPageOnce(report);
    assertThat(pages(report, "faulted") + pages(report, "pushed"))
        .isEqualTo(pages(report, "total"));
    JsonNode faults = report.path("faults");
    assertThat(faults(report)).describedAs("%s", report).isPositive();
    assertThat(faults.path("p50Micros").asDouble()).isPositive();
    assertThat(faults.path("p99Micros").asDouble())
        .isGreaterThanOrEqualTo(faults.path("p50Micros").asDouble());
    assertThat(faults.path("maxMicros").asDouble())
        .isGreaterThanOrEqualTo(faults.path("p99Micros").asDouble());
    assertThat(faults.path("duplicates").asLong()).isZero();
    assertThat(report.path("times").path("resumeMs").asDouble()).isPositive();
    assertThatItWorked(report, "before", "after");
  }

  /** How much the guest got done at these times. */
  private static void assertThatItWorked(JsonNode report, String... times) {
    JsonNode application = report.path("application");
    for (String when : times) {
      assertThat(application.path(when + "OpsPerSecond").asDouble())
          .describedAs("%s: %s", when, application)
          .isPositive();
    }
  }

  @ParameterizedTest(name = "{0}, {1}, {2} channels, {3} regions")
  @CsvSource({
    "hot-spot, plaintext, 1, 1",
    "text,     boringssl, 4, 3",
  })
  void someRoundsFirst(String pattern, String engine, int channels, int regions, Hosts hosts)
      throws Exception {
    JsonNode report =
        begin(hosts, "hybrid", pattern, engine, channels, regions, "--push", "active")
            .assertArrived();
    assertThat(report.path("mode").asText()).isEqualTo("hybrid");
    assertThat(report.path("switchedBy").asText()).isEqualTo("plan");
    assertThat(report.path("tracking").asText()).isEqualTo("userfaultfd-wp");
    assertThat(report.path("rounds").size()).describedAs("%s", report).isBetween(1, 4);
    assertThat(pages(report, "sent") - pages(report, "resent")).isEqualTo(pages(report, "total"));
    assertThat(pages(report, "faulted") + pages(report, "pushed"))
        .describedAs("%s", report)
        .isBetween(1L, pages(report, "total") / 2);
    // Its pages may be there before it has done anything.
    assertThatItWorked(report, "before", "after");
  }

  @Test
  void someRoundsFirstOntoHugePages(Hosts hosts) throws Exception {
    DemoGuestSpec spec =
        DemoGuestSpec.uniform(hosts.guestName(), "32M", "20MB/s").withPattern("random");
    try (HugePages reserved = new HugePages(20)) {
      assertThat(reserved).isNotNull();
      TargetHost target =
          TargetHost.start(hosts.workplace(), "huge", PeerSecurity.plaintext(), List.of())
              .awaitReady();
      Mount.hugePages(target.imageFolder());
      try {
        DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
        JsonNode report =
            Journey.begin(
                    hosts.source(),
                    target,
                    guest,
                    PeerSecurity.plaintext(),
                    null,
                    "--mode",
                    "hybrid",
                    "--bandwidth",
                    RATE)
                .assertArrived();
        assertThat((pages(report, "faulted") + pages(report, "pushed")) % 512)
            .describedAs("only whole huge pages can be missing: %s", report)
            .isZero();
        target.agent().close();
      } finally {
        Mount.remove(target.imageFolder());
      }
    }
  }

  @ParameterizedTest(name = "{0}, {1}, {2} channels, {3} regions")
  @CsvSource({
    "uniform,     plaintext, 1, 1",
    "mostly-zero, jdk,       4, 2",
  })
  void standingStill(String pattern, String engine, int channels, int regions, Hosts hosts)
      throws Exception {
    JsonNode report =
        begin(hosts, "stop-and-copy", pattern, engine, channels, regions, "--verify", "full")
            .assertArrived();
    assertThat(report.path("mode").asText()).isEqualTo("stop-and-copy");
    assertThat(report.path("switchedBy").isNull()).isTrue();
    assertThat(report.path("tracking").isNull()).describedAs("no tracking").isTrue();
    assertThat(report.path("rounds").size()).isEqualTo(1);
    assertEachPageOnce(report);
    assertThat(faults(report)).isZero();
    assertThat(pages(report, "faulted") + pages(report, "pushed")).isZero();
  }

  @Test
  void aGuestThatDirtiesFasterThanTheLinkMovesAllTheSame(Hosts hosts) throws Exception {
    DemoGuestSpec spec =
        DemoGuestSpec.uniform(hosts.guestName(), "32M", "120MB/s")
            .withPattern("random")
            .with("--working-set", "24M");
    DemoGuest guest = hosts.source().startGuest(spec).awaitReady();
    JsonNode report =
        Journey.begin(hosts, guest, "--bandwidth", "12MB/s", "--max-rounds", "2").assertArrived();
    assertThat(report.path("switchedBy").asText()).describedAs("%s", report).isEqualTo("stall");
    assertThat(faults(report)).isPositive();
    assertThat(report.path("times").path("downtimeMs").asDouble())
        .describedAs("less than the working set takes at this rate")
        .isLessThan(2000);
  }
}
