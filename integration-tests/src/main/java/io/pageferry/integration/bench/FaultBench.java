package io.pageferry.integration.bench;

import com.fasterxml.jackson.databind.JsonNode;
import io.pageferry.integration.process.DemoGuestSpec;
import io.pageferry.integration.process.PeerSecurity;
import io.pageferry.integration.process.TemporaryPki;
import io.pageferry.integration.process.Workplace;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.function.Predicate;

/**
 * Post-copy: what a page fault costs, alone and beside a push, how long the guest stands still,
 * what pre-paging saves, and how long the source is needed.
 *
 * <p>A fault's latency is the target agent's: from reading it to the end of landing its page. The
 * guests check nothing in passing, so that they touch their memory as their pattern says and not
 * otherwise.
 */
final class FaultBench implements Benchmark {
  private static final double PUSH_LIMIT_MS = 1;
  private static final double DOWNTIME_LIMIT_MS = 15;

  /** One page after the other, with time in between. */
  private static final String SLOWLY = "8MB/s";

  /** What the guest leaves between two pages at that rate. */
  private static final Duration PAUSE = Duration.ofNanos(500_000);

  private static final String AT_ONCE = "max";

  /** Twice what the sequential walk touches; the hot-spot guest touches all it can. */
  private static final String CAP = "512Mbit";

  private static final String WALK = "32MB/s";

  private static final String GIGABIT = "1Gbit";
  private static final double GIGABIT_BYTES_A_MILLI = 125_000;

  private final boolean quick;
  private final int runs;
  private final Workplace workplace;
  private final PingPongYardstick pingPong;
  private final MeasuredMigrations plain;
  private final MeasuredMigrations encrypted;
  private int guests;

  private FaultBench(
      boolean quick,
      Workplace workplace,
      PingPongYardstick pingPong,
      MeasuredMigrations plain,
      MeasuredMigrations encrypted) {
    this.quick = quick;
    this.runs = quick ? 2 : 5;
    this.workplace = workplace;
    this.pingPong = pingPong;
    this.plain = plain;
    this.encrypted = encrypted;
  }

  static FaultBench start(boolean quick) throws IOException, InterruptedException {
    Workplace workplace = Workplace.create("pageferry-bench");
    Runtime.getRuntime().addShutdownHook(new Thread(workplace::close, "bench-ends"));
    Path pki = TemporaryPki.create(workplace.subfolder("pki"), "source", "target");
    return new FaultBench(
        quick,
        workplace,
        PingPongYardstick.start(workplace),
        MeasuredMigrations.between(workplace, "plain", PeerSecurity.plaintext()),
        MeasuredMigrations.between(workplace, "tls", PeerSecurity.tls(pki)));
  }

  @Override
  public void run(Predicate<String> wanted, Results results)
      throws IOException, InterruptedException {
    latency(wanted, results, "plain", plain);
    latency(wanted, results, "TLS", encrypted);
    downtime(wanted, results, "256 MiB", "256M");
    if (!quick) {
      downtime(wanted, results, "4 GiB", "4G");
    }
    prepaging(wanted, results, "sequential walk at half the link", "sequential", WALK);
    prepaging(wanted, results, "hot spot at full speed", "hot-spot", AT_ONCE);
    String resume = "resume time at 1 Gbit/s";
    if (wanted.test(resume)) {
      results.add(resumeTime(resume));
    }
  }

  private void latency(
      Predicate<String> wanted, Results results, String kind, MeasuredMigrations hosts)
      throws IOException, InterruptedException {
    String idle = "fault, idle link, " + kind + ", p50";
    if (wanted.test(idle)) {
      results.add(againstPingPong(idle, hosts, SLOWLY, PAUSE));
    }
    String busy = "fault after fault, nothing pushed, " + kind + ", p50";
    if (wanted.test(busy)) {
      results.add(againstPingPong(busy, hosts, AT_ONCE, Duration.ZERO));
    }
    String pushed = "fault beside a full push, " + kind + ", p99";
    if (wanted.test(pushed)) {
      results.add(besideAPush(pushed, hosts));
    }
  }

  private Figure againstPingPong(String name, MeasuredMigrations hosts, String rate, Duration pause)
      throws IOException, InterruptedException {
    Series values = new Series();
    Series yardstick = new Series();
    for (int run = 0; run <= runs; run++) {
      double bare = pingPong.micros(pause);
      JsonNode report =
          move(hosts, guest(quick ? "16M" : "32M", "sequential", rate), "--push", "none");
      if (run > 0) {
        yardstick.add(bare);
        values.add(report.path("faults").path("p50Micros").asDouble());
      }
    }
    return Figure.of(name, values, "us", "bare ping-pong with 4 KiB", yardstick);
  }

  private Figure besideAPush(String name, MeasuredMigrations hosts)
      throws IOException, InterruptedException {
    Series values = new Series();
    for (int run = 0; run <= runs; run++) {
      JsonNode report = move(hosts, guest(quick ? "256M" : "512M", "uniform", AT_ONCE));
      if (run > 0) {
        values.add(report.path("faults").path("p99Micros").asDouble() / 1000);
      }
    }
    return Figure.of(name, values, "ms", "limit", PUSH_LIMIT_MS);
  }

  private void downtime(Predicate<String> wanted, Results results, String size, String memory)
      throws IOException, InterruptedException {
    String name = "demo in post-copy, " + size + ", downtime in the guest";
    if (wanted.test(name)) {
      Series millis =
          new MeasuredDemos(workplace)
              .downtimes(quick ? 5 : 10, "--mode", "postcopy", "--memory", memory);
      results.add(Figure.of(name, millis, "ms", "limit", DOWNTIME_LIMIT_MS));
    }
  }

  private void prepaging(
      Predicate<String> wanted, Results results, String walk, String pattern, String rate)
      throws IOException, InterruptedException {
    String name = walk + ", faults with pre-paging";
    if (!wanted.test(name)) {
      return;
    }
    Series prepaging = new Series();
    Series demand = new Series();
    String memory = quick ? "32M" : "64M";
    for (int run = 0; run < runs; run++) {
      demand.add(faults(move(encrypted, guest(memory, pattern, rate), capped("none"))));
      prepaging.add(faults(move(encrypted, guest(memory, pattern, rate), capped("prepaging"))));
    }
    results.add(Figure.of(name, prepaging, "times", "demand paging at the same cap", demand));
  }

  private static String[] capped(String push) {
    return new String[] {"--push", push, "--bandwidth", CAP};
  }

  private static double faults(JsonNode report) {
    return report.path("faults").path("count").asDouble();
  }

  private Figure resumeTime(String name) throws IOException, InterruptedException {
    Series millis = new Series();
    Series line = new Series();
    for (int run = 0; run < runs; run++) {
      DemoGuestSpec spec =
          DemoGuestSpec.uniform(nextName(), quick ? "128M" : "256M", "20MB/s")
              .withPattern("random");
      JsonNode report = move(encrypted, spec, "--bandwidth", GIGABIT);
      millis.add(report.path("times").path("resumeMs").asDouble());
      line.add(report.path("bytes").path("wire").asDouble() / GIGABIT_BYTES_A_MILLI);
    }
    return Figure.of(name, millis, "ms", "bytes / bandwidth", line);
  }

  /** A guest that works on all of its memory, with content that does not compress. */
  private DemoGuestSpec guest(String memory, String pattern, String rate) {
    return DemoGuestSpec.uniform(nextName(), memory, rate)
        .withPattern(pattern)
        .with("--working-set", memory, "--check-rate", "0");
  }

  private String nextName() {
    guests++;
    return "faulting" + guests;
  }

  private static JsonNode move(MeasuredMigrations hosts, DemoGuestSpec spec, String... options)
      throws IOException, InterruptedException {
    return hosts.moveInPostcopy(hosts.start(spec), List.of(options)).report();
  }

  @Override
  public void close() {
    workplace.close();
  }
}
